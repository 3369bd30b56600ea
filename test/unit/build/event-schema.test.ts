import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventSchema as generatedSchema } from '../../../build/events/generate-schema.ts';
import eventSchema from '../../../shared/events/event-schema.json' with { type: 'json' };

test("the events' schema is what the parser's rules give", () => {
  assert.deepEqual(
    eventSchema,
    JSON.parse(JSON.stringify(generatedSchema())),
    'run: node build/events/generate-schema.ts',
  );
});
