/**
 * A dead record as the batch that goes to its dead-letter topic. There is one for every record: what cannot be had or does
 * not fit is left out, and the letter says so and where the record is, so that one record never holds up the others.
 */
import { BatchReader } from "../../src/records/batch-reader.ts";
import { BatchWriter } from "../../src/records/batch-writer.ts";
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import { RecordsError } from "../../src/records/errors.ts";
import type { BatchRecord } from "../../src/records/record.ts";
import { BATCH_BYTES_MAX } from "../../src/wire/limits.ts";
import type { DeadLetter } from "./groups/dead-letters.ts";
import type { BatchLimits } from "./partition.ts";
import type { QueueSource } from "./queue-window.ts";
import { codeOfReadFailure } from "./read-failures.ts";

/** For what a letter says beside its record. */
const ROOM_BYTES = 64 * 1024;

/** What a dead-letter topic takes as a letter: its own limit is for producers, and the record was let in once. */
export const LETTER_LIMITS: BatchLimits = { batchBytesMax: BATCH_BYTES_MAX + ROOM_BYTES, recordBytesMax: Infinity };

export interface LetterOptions {
  readonly origin: { readonly topic: string; readonly partition: number };
  readonly group: string;
  readonly source: QueueSource;
  /** Its age in the dead-letter topic begins here: that topic's retention must not take at once what was old before. */
  readonly nowMs: number;
  readonly producerId: number;
}

/** A record, or the code of why there is none to be had. */
type Found = BatchRecord | string;

/** @throws what is not the record's fault: it is to be tried again */
export async function buildLetter(letter: DeadLetter, options: LetterOptions): Promise<Uint8Array> {
  const found = await findRecord(letter.offset, options.source);
  if (typeof found !== "string") {
    try {
      return write(letter, options, found, "");
    } catch (error) {
      if (!(error instanceof RecordsError)) throw error;
      return write(letter, options, undefined, error.code);
    }
  }
  return write(letter, options, undefined, found);
}

async function findRecord(offset: number, source: QueueSource): Promise<Found> {
  if (offset < source.startOffset) return "TRIMMED";
  let batch: Entry | undefined;
  try {
    const entries: readonly Entry[] = await source.read(offset, 1);
    batch = entries.find((entry) => entry.kind === EntryKind.batch && entry.nextOffset > offset);
  } catch (error) {
    if (offset < source.startOffset) return "TRIMMED";
    // Where others have it, this replica leads no more, and who does will write the letter.
    if (codeOfReadFailure(error, source) === "CORRUPT") return "CORRUPT";
    throw error;
  }
  if (offset < source.startOffset) return "TRIMMED";
  if (batch === undefined || batch.baseOffset > offset) throw new Error(`no batch with offset ${offset} was found`);
  try {
    const reader = new BatchReader(batch);
    reader.skipTo(offset);
    return reader.next() ? reader.record() : "CORRUPT";
  } catch (error) {
    if (error instanceof RecordsError) return error.code;
    throw error;
  }
}

/** `without`: "", or why the record is not in it. @throws {RecordsError} */
function write(
  { offset, deliveries, reason, sequence }: DeadLetter,
  { origin, group, nowMs, producerId }: LetterOptions,
  record: BatchRecord | undefined,
  without: string,
): Uint8Array {
  const headers = {
    ...record?.headers,
    "raftline-dead-reason": reason,
    "raftline-dead-topic": origin.topic,
    "raftline-dead-partition": String(origin.partition),
    "raftline-dead-offset": String(offset),
    "raftline-dead-group": group,
    "raftline-dead-deliveries": String(deliveries),
    ...(record === undefined
      ? { "raftline-dead-without": without }
      : { "raftline-dead-timestamp": `${record.timestamp}` }),
  };
  const writer = new BatchWriter({ bytesMax: LETTER_LIMITS.batchBytesMax });
  writer.append(nowMs, record?.key ?? null, record?.value ?? new Uint8Array(0), headers);
  return writer.finish({ producerId, producerEpoch: 0, baseSequence: sequence % 2 ** 32 }).bytes;
}
