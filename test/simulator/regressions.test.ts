import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failureText } from "../../tools/simulator/report.ts";
import { DEFAULT_SECONDS, simulate } from "../../tools/simulator/simulation.ts";

/** Seeds that found something once. What they found is said; that they still meet it nobody promises. */
const REGRESSIONS: readonly (readonly [seed: number, found: string])[] = [
  [30, "a node whose metadata replica was closed as damaged listed no topics instead of refusing"],
  [34, "damage before the note that a group was repaired was taken for repaired, too"],
  [40, "a node started its metadata group from a log with a hole"],
  [99, "a restarted node began a deleted group anew while it applied old metadata again: two leaders in one term"],
  [238, "the same: a leader without the committed entries of the group that was deleted"],
  [429, "a disk that lost term and vote but kept entries of later terms could not start"],
  [486, "a group whose log ends before its checkpoint could not start"],
  [515, "the same, with a checkpoint of a later term than the one that was kept"],
  [2808, "a commit index past the end of a log whose end was destroyed before the note that it was repaired"],
  [3765, "the same"],
  [20320, "a flipped bit in the last block was taken for a torn write: what was acknowledged was cut away"],
  [40559, "an entry that a destroyed write had replaced was served: a later leader without what was committed"],
  [40826, "a power loss left the node's identity file empty: it was renamed before its own name was durable"],
  [41951, "a group whose every trace was destroyed began anew, as if it had never voted"],
  [80, "a move that was redirected waited for the vote of one who had given its replica up: it never ended"],
  [77, "a restarted leader no longer knew the term before its log's start: a new replica began one entry late"],
  [117, "the same: a reader from the start missed the first batch"],
  [195, "the same, where the file with the first entries had been given back"],
  [962, "a paused leader of an earlier term answered where the partition ends, before what was acknowledged since"],
  [
    2164,
    "a replica that was moving in when its disk lost unknown groups was never repaired; files were compacted for ever",
  ],
  [3056, "a redirected move ended the replica of a node that was a voter by then: with one bad disk nobody could lead"],
  [
    22410,
    "a move made a group of two while its third member was away for a moment: then a disk was lost, and nobody could lead",
  ],
  [22556, "the same"],
  [
    30247,
    "a learner was vouched for, its late introduction made the leader forget that, and nobody asked it: no move ended",
  ],
  [3204, "a replica in an idle group that learnt late that its disk is old never said so, and was never vouched for"],
  [10946, "a cut-off leader ended a lease whose extension was in its log: both were committed together"],
  [10936, "an ack that was done, and asked for again after its lease, was told to be undone instead of not known"],
  [20415, "records deleted before their group came to them were never counted as done with: its lag stayed"],
  [11276, "a partition just given to a member was given on, because the member had once held what it was to hold then"],
  [5017, "a replica not vouched for yet began anew: its leader kept its match"],
  [5074, "the answer to a heartbeat sent before a member lost all was taken: it never heard again what it should read"],
  [5107, "the same, in a partition of which nothing had been read"],
  [31962, "nodes that lost power sixty times had met each other too long ago: each was taken to have forgotten"],
  [32920, "a partition whose records were all deleted was taken to end at 0 by the check of a group's end"],
  [60519, "a leader that was cut off said that a topic exists which had been deleted since"],
  [
    62644,
    "of those who stayed one lost its disk, one its memory of the commit, and who had left was gone: no majority",
  ],
  [62748, "the same, with an old copy of a disk"],
  [
    63221,
    "a replica that began late, after a move of the others, was taken to have forgotten: with a lost disk two of three",
  ],
  [82456, "a file's destroyed last block was forgotten when its index was destroyed, too, and made again"],
  [
    87107,
    "a replica that was cut off and left hid who leads: its node said that nobody does, and clients asked no other",
  ],
  [85900, "a damaged replica that began anew was vouched for by the word of the one that it replaced in the same turn"],
  [81487, "of two snapshots in one turn the core took the first, and the state kept for it was the second's"],
];

const regressions = suite("seeds that found something once");

for (const [seed, found] of REGRESSIONS) {
  regressions(`seed ${seed}: ${found}`, async () => {
    const outcome = await simulate({ seed });
    assert.is(outcome.violation, undefined, failureText(outcome, { seconds: DEFAULT_SECONDS }));
  });
}

regressions.run();
