/** Names of a simulated disk: as a process sees them, as they are on the platter, and the changes in between. */
import type { Random } from "../../src/runtime/runtime.ts";
import type { SimulatedFile, Survival } from "./disk-file.ts";

export type NameChange =
  | { readonly kind: "create"; readonly path: string; readonly file: SimulatedFile }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string };

export class SimulatedNames {
  readonly #current = new Map<string, SimulatedFile>();
  readonly #durable = new Map<string, SimulatedFile>();
  /** Folders are durable as soon as they are made: `Disk.makeFolder` says so. */
  readonly #folders = new Set<string>(["", "/", "."]);
  #unsynced: NameChange[] = [];

  get(path: string): SimulatedFile | undefined {
    return this.#current.get(path);
  }

  /** Every file that has a name now, or would have one after a crash. */
  files(): Set<SimulatedFile> {
    return new Set([...this.#current.values(), ...this.#durable.values()]);
  }

  paths(): string[] {
    return [...this.#current.keys()].sort();
  }

  makeFolder(path: string): void {
    for (let at = path; !this.#folders.has(at); at = parentOf(at)) this.#folders.add(at);
  }

  hasFolder(path: string): boolean {
    return this.#folders.has(path);
  }

  /** Names of files and folders right in a folder, sorted. */
  list(folder: string): { name: string; file: SimulatedFile | undefined }[] {
    const inside = (path: string) => parentOf(path) === folder && path !== folder;
    const files = [...this.#current].filter(([path]) => inside(path)).map(([path, file]) => ({
      name: nameOf(path),
      file,
    }));
    const folders = [...this.#folders].filter(inside).map((path) => ({ name: nameOf(path), file: undefined }));
    return [...files, ...folders].sort((a, b) => a.name < b.name ? -1 : 1);
  }

  change(change: NameChange): void {
    apply(this.#current, change);
    this.#unsynced.push(change);
  }

  /** All files below a folder, and the folder itself; a folder's removal is durable at once. */
  removeFolder(path: string): void {
    for (const name of this.#current.keys()) {
      if (name.startsWith(`${path}/`)) this.change({ kind: "remove", path: name });
    }
    for (const folder of this.#folders) {
      if (folder === path || folder.startsWith(`${path}/`)) this.#folders.delete(folder);
    }
  }

  sync(folder: string): void {
    const left: NameChange[] = [];
    for (const change of this.#unsynced) {
      if (foldersOf(change).includes(folder)) apply(this.#durable, change);
      else left.push(change);
    }
    this.#unsynced = left;
  }

  crash(survival: Survival, random: Random): void {
    const kept = survival === "all"
      ? this.#unsynced
      : survival === "none"
      ? []
      : survival === "prefix"
      ? this.#unsynced.slice(0, random.integer(this.#unsynced.length + 1))
      : this.#unsynced.filter(() => random.next() < 0.5);
    for (const change of kept) apply(this.#durable, change);
    this.#unsynced = [];
    this.#current.clear();
    for (const [path, file] of this.#durable) this.#current.set(path, file);
  }
}

function apply(names: Map<string, SimulatedFile>, change: NameChange): void {
  if (change.kind === "create") names.set(change.path, change.file);
  else if (change.kind === "remove") names.delete(change.path);
  else {
    const file = names.get(change.from);
    if (!file) return;
    names.delete(change.from);
    names.set(change.to, file);
  }
}

function foldersOf(change: NameChange): string[] {
  return change.kind === "rename" ? [parentOf(change.from), parentOf(change.to)] : [parentOf(change.path)];
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
