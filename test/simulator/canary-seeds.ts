/**
 * Where `npm run sim -- --canaries` caught each planted bug the last time. Every new fault or load changes what seeds draw:
 * then a seed here is merely the first of those that are tried, and the table should be made anew.
 */
export const CANARY_SEEDS: Readonly<Record<string, number>> = {
  "acknowledge before the commit": 7,
  "skip every fsync": 2,
  "say durable before the disk does": 9,
  "vote before the vote is durable": 9,
  "acknowledge an append before it is durable": 6,
  "forget the vote": 31,
  "take a refusal for a vote": 2,
  "count a vote twice": 52,
  "read without asking a majority": 10,
  "forget the high watermark at a checkpoint": 6,
  "use a configuration late": 33,
  "let nobody know that it has forgotten": 2,
  "vote at once with a disk that is not what it was": 2,
  "store a batch again that was sent again": 2,
  "delete more than was asked": 2,
  "forget an entry in compaction": 3,
  "take an ack of a lease that is over": 6,
  "bury a record twice": 6,
  "give a partition away before it is let go": 15,
  "begin behind a record that was not read": 2,
};
