import assert from 'node:assert/strict'
import test from 'node:test'

import { HeadwaterError } from '../src/errors.ts'
import { fromJson, toJson, toJsonWithHalves } from '../src/values.ts'

class Point {
  x = 1
  #hidden = 2
  y = this.#hidden
  length(): number {
    return this.x + this.y
  }
}

const CASES: [string, unknown, string][] = [
  ['plain values', { a: [1, 'é', null, true] }, '{"a":[1,"é",null,true]}'],
  ['NaN and infinities', [NaN, Infinity, -Infinity], '[null,null,null]'],
  ['dates', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
  ['sets and maps', { s: new Set([1, 2]), m: new Map([[1, 'a']]) }, '{"s":[1,2],"m":{"1":"a"}}'],
  ['integers of any size', { n: 12345678901234567890n, m: { k: [1n] } }, '{"n":12345678901234567890,"m":{"k":[1]}}'],
  ['large whole numbers, whose digits are all written', { n: 2 ** 60, m: [2 ** 53, 1e21] }, '{"n":1152921504606846976,"m":[9007199254740992,1e+21]}'],
  ['objects of a class', new Point(), '{"x":1,"y":2}'],
  ['what is undefined', { a: undefined, b: [undefined, 1] }, '{"b":[null,1]}'],
  ['objects that say their JSON form', { u: new URL('http://a/b') }, '{"u":"http://a/b"}'],
  ['objects without a prototype', Object.assign(Object.create(null) as object, { a: 1 }), '{"a":1}'],
  ['lone surrogates beside values that need care', { a: '\ud800', b: 1n }, '{"a":"\ufffd","b":1}'],
  ['boxed values', { a: Object('x') as unknown, b: Object(1) as unknown }, '{"a":"x","b":1}'],
]

for (const [name, value, text] of CASES) test(`JSON of ${name}`, () => assert.equal(toJson(value), text))

const READ: [string, string, unknown][] = [
  ['a whole number that no double holds is a bigint', '{"n":[1161380288898609914,-9007199254740993]}', { n: [1161380288898609914n, -9007199254740993n] }],
  ['one that a double holds is a number', '[9007199254740994,1152921504606846976]', [9007199254740994, 2 ** 60]],
  ['texts and fractions are left as they are', '["1161380288898609914\\"1161380288898609914",0.11613802888986099,11613802888986099.5,1e20]', ['1161380288898609914"1161380288898609914', 0.11613802888986099, 11613802888986099.5, 1e20]],
]
for (const [name, text, value] of READ) {
  test(`${name} when JSON is read, and is written as it was`, () => {
    assert.deepEqual(fromJson(text), value)
    assert.deepEqual(fromJson(toJson(fromJson(text))), value)
  })
}

test('halves of characters that an operation brings stay halves', () => {
  assert.equal(toJsonWithHalves([{ value: '\ud83d' }, { value: '😀' }]), '[{"value":"\\ud83d"},{"value":"😀"}]')
})

const circle: { self?: object } = {}
circle.self = circle

const REFUSED: [string, unknown, RegExp][] = [
  ['a function', { list: [{ deep: () => 1 }] }, /data\.list\[0\]\.deep is a function/],
  ['a symbol', { a: Symbol('x') }, /data\.a is a symbol/],
  ['bytes', { a: Buffer.from('x') }, /data\.a is a Buffer.*Decode it to text/],
  ['a promise', { a: Promise.resolve(1) }, /data\.a is a Promise.*An `await` is missing/],
  ['an error', [new Error('x')], /data\[0\] is an Error/],
  ['a regular expression', { a: /x/ }, /data\.a is a RegExp/],
  ['undefined', undefined, /data is undefined/],
  ['a blob', { a: new Blob(['x']) }, /data\.a is a Blob.*arrayBuffer/],
  ['a response', new Response('x'), /data is a Response/],
  ['what holds itself', circle, /nested more than 250 deep, or holds itself/],
  ['a key that is no text', { m: new Map([[{}, 1]]) }, /data\.m has a key of type Object/],
  ['an object whose JSON form fails', { a: { toJSON: () => { throw new Error('no') } } }, /data\.a .*cannot be turned/],
]

for (const [name, value, said] of REFUSED) {
  test(`${name} has no JSON form, and the path is named`, () => {
    assert.throws(
      () => toJson(value),
      (error) => error instanceof HeadwaterError && error.code === 'INVALID_INPUT' && said.test(error.message),
    )
  })
}
