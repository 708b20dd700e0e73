/**
 * Where `npm run sim -- --canaries` caught each planted bug the last time. Every new fault or load changes what seeds draw:
 * then a seed here is merely the first of those that are tried, and the table should be made anew.
 */
export const CANARY_SEEDS: Readonly<Record<string, number>> = {
  "acknowledge before the commit": 7,
  "skip every fsync": 2,
  "vote before the vote is durable": 41,
  "acknowledge an append before it is durable": 2,
  "forget the vote": 78,
  "forget a truncation": 6,
  "take a refusal for a vote": 2,
  "count a vote twice": 111,
  "read without asking a majority": 7,
  "forget the high watermark at a checkpoint": 2,
  "use a configuration late": 29,
  "let nobody know that it has forgotten": 2,
  "vote at once with a disk that is not what it was": 2,
  "store a batch again that was sent again": 2,
  "forget the producers at a checkpoint": 3,
  "delete more than was asked": 2,
  "forget an entry in compaction": 3,
  "take an ack of a lease that is over": 5,
  "bury a record twice": 5,
  "forget what waits for its time": 5,
  "give out a record whose time is over": 5,
  "give a record up before its time is over": 5,
  "give a partition away before it is let go": 7,
  "begin behind a record that was not read": 2,
};
