import { SubtenError } from '../runtime/errors.js'
import type { Context } from './context.js'
import { FAILED, USAGE } from './exit-codes.js'

/** A mistake in how a command was called: exit code 2. */
export class UsageError extends Error {}

/** Prints an error for people, never a stack, and returns the exit code. */
export function reportError(context: Context, error: unknown): number {
  if (error instanceof UsageError) {
    context.err(`error: ${error.message}`)
    return USAGE
  }
  if (error instanceof SubtenError) {
    context.err(`${error.code}: ${error.message}`)
    context.err(error.remedy)
    return FAILED
  }
  context.err(`error: ${error instanceof Error ? error.message : String(error)}`)
  return FAILED
}

/** Rows as columns of equal width; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const all = [head, ...rows.map((row) => row.map(String))]
  const widths = head.map((_, c) => Math.max(...all.map((row) => (row[c] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c] as number) : cell.padStart(widths[c] as number))).join('  ')
  return all.map((row) => line(row).trimEnd()).join('\n')
}

/** JSON for machines; 64-bit integers as numbers where they are exact, else as strings. */
export function toJsonText(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, v: unknown) => (typeof v === 'bigint' ? (Number.isSafeInteger(Number(v)) ? Number(v) : String(v)) : v),
    2,
  )
}
