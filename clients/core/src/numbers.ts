/** JSON of which no digit is lost: a whole number that a double cannot hold becomes a bigint, and back. */

const MANY_DIGITS = /\d{16}/
const TEXT_OR_WHOLE = /"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.eE+-])-?\d{16,300}(?![\d.eE])/g
/** Stands before the digits while the text is read. No text of the server's can begin so, for it is told anew each time. */
const mark = () => `bigint ${Math.random()} `

/** @throws {SyntaxError} it is no JSON */
export function parse(text: string): any {
  if (!MANY_DIGITS.test(text)) return JSON.parse(text)
  const sign = mark()
  const signed = text.replace(TEXT_OR_WHOLE, (one) => (one[0] === '"' || BigInt(Number(one)) === BigInt(one) ? one : `"${sign}${one}"`))
  return JSON.parse(signed, (_, value) => (typeof value === 'string' && value.startsWith(sign) ? BigInt(value.slice(sign.length)) : value))
}

/** Whether `JSON.stringify` would write other digits than the number has: 2^60 as 1152921504606847000. */
const isRounded = (value: unknown): value is number => Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value as number) < 1e21

/** The JSON text of a value, of whole numbers every digit. @throws {TypeError} there is none */
export function toText(value: unknown): string {
  const sign = mark()
  let signed = false
  const write = (_: string, one: unknown) => (typeof one === 'bigint' || isRounded(one) ? ((signed = true), sign + BigInt(one)) : one)
  const text = JSON.stringify(value, write)
  if (text === undefined) throw new TypeError('it is nothing')
  return signed ? text.replace(new RegExp(`"${sign}(-?\\d+)"`, 'g'), '$1') : text
}

/** Whether two values that came as JSON are the same. */
export function same(one: any, other: any): boolean {
  if (one === other || !one || !other || typeof one !== 'object' || typeof other !== 'object') return one === other
  const keys = Object.keys(one)
  return keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && same(one[key], other[key]))
}
