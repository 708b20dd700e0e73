/**
 * Where `npm run sim -- --canaries` caught each planted bug the last time. Every new fault or load changes what seeds draw:
 * then a seed here is merely the first of those that are tried, and the table should be made anew.
 */
export const CANARY_SEEDS: Readonly<Record<string, number>> = {
  "acknowledge before the commit": 4,
  "skip every fsync": 4,
  "say durable before the disk does": 3,
  "vote before the vote is durable": 9,
  "acknowledge an append before it is durable": 5,
  "forget the vote": 67,
  "forget a truncation": 4,
  "count a vote twice": 7,
  "read without asking a majority": 10,
  "forget the high watermark at a checkpoint": 23,
  "use a configuration late": 110,
  "let nobody know that it has forgotten": 3,
  "vote at once with a disk that is not what it was": 3,
  "forget an entry in compaction": 29,
  "hold a lease for as long as was promised, whatever the clocks": 52,
  "vote in spite of a promise": 112,
  "forget at a restart that the vote is promised": 156,
  "give out the next of a key while the one before is out": 15,
  "give a partition away before it is let go": 4,
  "use a group's generation twice": 4,
  "begin before what was committed": 4,
};
