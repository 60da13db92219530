import { InvalidArgumentError } from 'commander'
import { parseTime } from '../profile/search.js'

/** Parsers for commander: a number in a range, or a sentence that says what was wanted. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= low && value <= high) return value
    throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`)
  }
}

export function positiveNumber(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError('It must be a number above 0.')
}

/** `1,8,64` */
export function wholeNumbers(low: number, high: number): (text: string) => number[] {
  const one = wholeNumber(low, high)
  return (text) => text.split(',').map((part) => one(part.trim()))
}

/** `10ms`, `250us`, `1.5s` as microseconds. */
export function duration(text: string): number {
  const us = parseTime(text)
  if (us !== undefined) return us
  throw new InvalidArgumentError('It must be a time with its unit, as 10ms, 250us or 1.5s.')
}
