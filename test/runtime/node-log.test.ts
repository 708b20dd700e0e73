import { suite } from "uvu";
import * as assert from "uvu/assert";
import { logJson, logText } from "../../src/runtime/node-log.ts";

const log = suite("log lines");

log("plain values are as they are, others are quoted", () => {
  const fields = { path: "/v1/topics/a-b_c.d", count: 3, on: true, none: undefined, nothing: null, list: [1, "a b"] };
  assert.is(logText("serving", fields), 'serving path=/v1/topics/a-b_c.d count=3 on=true nothing=null list=[1,"a b"]');
  assert.is(
    logText("m", { a: "two words", b: "x=y", c: 'say "hi"', d: "", e: "back\\slash" }),
    [
      "m",
      'a="two words"',
      'b="x=y"',
      'c="say \\"hi\\""',
      'd=""',
      'e="back\\\\slash"',
    ].join(" "),
  );
  assert.is(logText("m", { name: "Zoë" }), 'm name="Zoë"');
});

log("nothing in them ends the line or reaches the terminal as a command", () => {
  const evil = "a\nFORGED error\r\x1b[31m\x9b2J\u2028\u202e\u{e0041}\x7f";
  for (const text of [logText(evil), logText("m", { path: evil }), logText("m", { list: [evil] })]) {
    assert.not.match(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    assert.match(text, "FORGED error");
  }
  assert.is(logText("m", { path: "a\nb\x9b" }), 'm path="a\\nb\\u009b"');
});

log("as JSON it is one object a line, whatever is in it", () => {
  const evil = "a\nb\u2028\u202e\x9b";
  const line = logJson("2026-01-31T00:00:00.000Z", "warn", evil, { path: evil, count: 3, none: undefined });
  assert.not.match(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  const time = "2026-01-31T00:00:00.000Z";
  assert.equal(JSON.parse(line), { time, level: "warn", message: evil, fields: { path: evil, count: 3 } });
  assert.is(logJson(time, "info", "serving"), `{"time":"${time}","level":"info","message":"serving"}`);
});

log.run();
