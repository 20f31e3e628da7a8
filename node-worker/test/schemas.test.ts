import assert from 'node:assert/strict'
import test from 'node:test'

import { z as z4 } from 'zod'
import { z as z3 } from 'zod3'
import { z as z40 } from 'zod40'

import { ConfigFault, plainConfig, type JsonObject } from '../src/schemas/config.ts'

interface Converted {
  schema: JsonObject
  warnings: string[]
}

function convert(schema: unknown): Converted {
  const warnings: string[] = []
  const config = plainConfig({ schema }, (message) => warnings.push(message))
  return { schema: config['schema'] as JsonObject, warnings }
}

/** The one zod that the cases are written for; the versions have the same names here. */
type Zod = typeof z3

const VERSIONS: Record<string, Zod> = { 'zod 3': z3, 'zod 4': z4 as unknown as Zod, 'zod 4.0': z40 as unknown as Zod }

/** What every version says in the same words, or zod 4 in fewer. */
const SAME: [name: string, make: (z: Zod) => unknown, schema: JsonObject, schema4?: JsonObject][] = [
  ['text', (z) => z.string().min(1).max(5), { type: 'string', minLength: 1, maxLength: 5 }],
  ['a number', (z) => z.number().min(1).max(5), { type: 'number', minimum: 1, maximum: 5 }],
  ['a flag', (z) => z.boolean(), { type: 'boolean' }],
  ['anything', (z) => z.any(), {}],
  ['a literal', (z) => z.object({ a: z.literal('x') }), { type: 'object', properties: { a: { type: 'string', const: 'x' } }, required: ['a'] }],
  ['a choice', (z) => z.enum(['a', 'b']), { type: 'string', enum: ['a', 'b'] }],
  ['a list', (z) => z.array(z.string()).min(1), { type: 'array', items: { type: 'string' }, minItems: 1 }],
  ['null or not', (z) => z.string().nullable(), { anyOf: [{ type: 'string' }, { type: 'null' }] }, { type: ['string', 'null'] }],
  ['one of several', (z) => z.union([z.string(), z.number()]), { anyOf: [{ type: 'string' }, { type: 'number' }] }, { type: ['string', 'number'] }],
  ['both of two', (z) => z.intersection(z.object({ a: z.string() }), z.object({ b: z.string() })), {
    allOf: [
      { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
      { type: 'object', properties: { b: { type: 'string' } }, required: ['b'] },
    ],
  }, { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }, required: ['a', 'b'] }],
  ['an object, whose unknown members pass', (z) => z.object({ a: z.string(), b: z.number().optional() }), {
    type: 'object', properties: { a: { type: 'string' }, b: { type: 'number' } }, required: ['a'],
  }],
  ['a strict object', (z) => z.object({ a: z.string() }).strict(), {
    type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false,
  }],
  ['an object with a rest', (z) => z.object({}).catchall(z.number()), {
    type: 'object', properties: {}, additionalProperties: { type: 'number' },
  }],
  ['a default, which makes optional', (z) => z.object({ a: z.string().default('x') }), {
    type: 'object', properties: { a: { type: 'string', default: 'x' } },
  }],
  ['a transform, by what it takes', (z) => z.object({ a: z.string().transform((text) => text.length) }), {
    type: 'object', properties: { a: { type: 'string' } }, required: ['a'],
  }],
  ['a refinement, by what it refines', (z) => z.string().refine((text) => text !== 'x'), { type: 'string' }],
  ['what is coerced, which may be anything', (z) => z.object({ a: z.coerce.number().min(1) }), {
    type: 'object', properties: { a: {} }, required: ['a'],
  }],
]

for (const [version, z] of Object.entries(VERSIONS)) {
  for (const [name, make, schema, schema4 = schema] of SAME) {
    test(`${version} says ${name}`, () => {
      const converted = convert(make(z))
      assert.deepEqual(normal(converted.schema), normal(version === 'zod 3' ? schema : schema4))
      assert.deepEqual(converted.warnings, [])
    })
  }

  test(`${version}: what JSON cannot say becomes anything, with a warning that names the place`, () => {
    const { schema, warnings } = convert(z.object({ a: z.object({ at: z.date() }), b: z.array(z.bigint()) }))
    const properties = schema['properties'] as Record<string, JsonObject>
    assert.deepEqual((properties['a']?.['properties'] as JsonObject)['at'], {})
    assert.deepEqual(properties['b']?.['items'], {})
    assert.equal(warnings.length, 2)
    assert.match(warnings.join('\n'), /config\.schema\.\S*a\S*at: z\.date\(\) has no JSON Schema/)
    assert.match(warnings.join('\n'), /z\.bigint\(\) has no JSON Schema/)
  })

  test(`${version}: a schema may hold itself`, () => {
    interface Tree { name: string; children: Tree[] }
    const tree: { parse(value: unknown): Tree } = z.object({ name: z.string(), children: z.array(z.lazy(() => tree as never)) }) as never
    const text = JSON.stringify(convert(tree).schema)
    assert.match(text, /"\$ref":"#[^"]*"/)
    assert.ok(text.length < 2000)
  })

  test(`${version}: formats are named`, () => {
    const { schema } = convert(z.object({ a: z.string().email(), b: z.string().uuid(), c: z.string().datetime() }))
    const properties = schema['properties'] as Record<string, JsonObject>
    assert.deepEqual(Object.values(properties).map((one) => one['format']), ['email', 'uuid', 'date-time'])
  })

  test(`${version}: records, tuples and unions told apart by a member`, () => {
    const { schema, warnings } = convert(
      z.object({
        r: z.record(z.string(), z.number()),
        t: z.tuple([z.string(), z.number()]),
        u: z.discriminatedUnion('k', [z.object({ k: z.literal('a') }), z.object({ k: z.literal('b'), n: z.number() })]),
      }),
    )
    const { r, t, u } = schema['properties'] as Record<string, JsonObject>
    assert.deepEqual(r?.['additionalProperties'], { type: 'number' })
    assert.deepEqual(t?.['prefixItems'], [{ type: 'string' }, { type: 'number' }])
    assert.equal(((u?.['anyOf'] ?? u?.['oneOf']) as JsonObject[]).length, 2)
    assert.deepEqual(warnings, [])
  })

  test(`${version}: schemas are found wherever they stand in a config`, () => {
    const config = plainConfig({ name: 'x', responseSchema: { 200: z.string(), 404: { type: 'object' } } }, assert.fail)
    assert.deepEqual(config, { name: 'x', responseSchema: { 200: { type: 'string' }, 404: { type: 'object' } } })
  })
}

/** zod 3 leaves out what follows from `const`. */
function normal(schema: JsonObject): unknown {
  return JSON.parse(JSON.stringify(schema, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('const' in value)) return value
    const { type: _type, ...rest } = value as JsonObject
    return rest
  }))
}

test('zod 3: checks of text and numbers', () => {
  const { schema } = convert(
    z3.object({
      a: z3.string().regex(/^x+$/).startsWith('x'),
      b: z3.number().int().positive().multipleOf(5),
      c: z3.nativeEnum({ A: 'a', B: 'b' } as const),
      d: z3.string().describe('what it is'),
      e: z3.preprocess(String, z3.string()),
      f: z3.string().catch('x'),
      g: z3.string().brand('B').readonly(),
      h: z3.string().pipe(z3.string()),
    }),
  )
  assert.deepEqual(schema['properties'], {
    a: { type: 'string', pattern: '^x+$', allOf: [{ pattern: '^x' }] },
    b: { type: 'integer', exclusiveMinimum: 0, multipleOf: 5 },
    c: { enum: ['a', 'b'] },
    d: { type: 'string', description: 'what it is' },
    e: {},
    f: {},
    g: { type: 'string' },
    h: { type: 'string' },
  })
})

test('a config keeps what is JSON, and dates as text', () => {
  const config = { name: 'x', at: new Date(0), none: undefined, list: [1, null, { a: NaN }] }
  assert.deepEqual(plainConfig(config, assert.fail), { name: 'x', at: '1970-01-01T00:00:00.000Z', list: [1, null, { a: null }] })
})

const REFUSED: [what: string, config: object, said: RegExp][] = [
  ['functions', { a: [() => 1] }, /config\.a\[0\] is a function/],
  ['maps', { a: new Map() }, /config\.a is a Map/],
  ['big integers', { a: 1n }, /config\.a is a bigint/],
]

for (const [what, config, said] of REFUSED) {
  test(`a config with ${what} is refused, naming the path`, () => {
    assert.throws(() => plainConfig(config, assert.fail), (error) => error instanceof ConfigFault && said.test(error.message))
  })
}
