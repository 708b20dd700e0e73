/** TypeBox pieces that several messages share, and one way to check a decoded head against them. */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { WireError } from "./errors.ts";

export const U16 = Type.Integer({ minimum: 0, maximum: 0xffff });
export const U32 = Type.Integer({ minimum: 0, maximum: 0xffff_ffff });
/** An offset, an index, a term, a time: exact in a Number. */
export const U53 = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const NodeIdSchema = Type.Integer({ minimum: 0, maximum: 0xffff_ffff });
/** Topics, groups, clients: 1 to 249 of A–Z a–z 0–9 . _ - but not "." nor "..". */
export const Name = Type.String({ minLength: 1, maxLength: 249, pattern: "^(?!\\.{1,2}$)[A-Za-z0-9._-]+$" });
export const Text = Type.String({ maxLength: 4096 });

/** Returns its argument if it has the shape, typed; else throws a `WireError` `INVALID_MESSAGE` that says where. */
export type Validator<T> = (value: unknown) => T;

/**
 * Compiles a schema once into a fast check.
 *
 * @example
 * const pair = validator("pair", Type.Tuple([U32, Text]));
 * const [id, text] = pair(head);
 */
export function validator<S extends TSchema>(what: string, schema: S): Validator<Static<S>> {
  const compiled = TypeCompiler.Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return value;
    const first = compiled.Errors(value).First();
    throw new WireError(
      "INVALID_MESSAGE",
      first === undefined ? `${what} is not valid` : `${what}${first.path}: ${first.message}`,
    );
  };
}

const nameCheck = TypeCompiler.Compile(Name);

/** Whether `name` may name a topic or a group. */
export function isName(name: string): boolean {
  return nameCheck.Check(name);
}
