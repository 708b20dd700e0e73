/**
 * Where `npm run sim -- --canaries` caught each planted bug the last time. Every new fault or load changes what seeds draw:
 * then a seed here is merely the first of those that are tried, and the table should be made anew.
 */
export const CANARY_SEEDS: Readonly<Record<string, number>> = {
  "acknowledge before the commit": 5,
  "skip every fsync": 2,
  "say durable before the disk does": 5,
  "vote before the vote is durable": 20,
  "acknowledge an append before it is durable": 3,
  "forget the vote": 15,
  "take a refusal for a vote": 5,
  "accept stale appends": 4,
  "count a vote twice": 80,
  "forget the high watermark at a checkpoint": 2,
  "use a configuration late": 33,
  "let nobody know that it has forgotten": 3,
  "vote at once with a disk that is not what it was": 2,
  "store a batch again that was sent again": 2,
  "forget the producers at a checkpoint": 3,
  "delete more than was asked": 2,
  "bury a record twice": 6,
  "give a partition away before it is let go": 7,
  "begin behind a record that was not read": 2,
};
