/** A coordinator's state machine: commands in, one state on every replica. */
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { StateMachine } from "../host/state-machine.ts";
import { applyCommand, type CommandCode, decodeCommand } from "./commands.ts";
import { CoordinatorState } from "./state.ts";

export class CoordinatorMachine implements StateMachine {
  readonly state = new CoordinatorState();
  /** Called when a command was applied to this group. */
  onChanged: (group: string) => void = () => {};
  /** Called when this replica begins or ceases to lead. */
  onLeadership: (leads: boolean) => void = () => {};

  apply(entry: Entry): CommandCode | undefined {
    if (entry.kind !== EntryKind.command) return undefined;
    const command = decodeCommand(entry);
    const code = applyCommand(this.state, command);
    this.onChanged(command.group);
    return code;
  }

  capture(): Uint8Array {
    return this.state.encode();
  }

  restore(state: Uint8Array): void {
    this.state.load(state);
  }

  onLeading(): void {
    this.onLeadership(true);
  }

  onFollowing(): void {
    this.onLeadership(false);
  }
}
