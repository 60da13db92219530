import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import { DISK } from '../sla/state-disk.js'

const FORMAT = 'subten.optimize-journal/1'
const FILE = 'journal.jsonl'

/** What measurements depend on, a hash each: where one differs, none of an earlier run holds. */
export type JournalKey = Readonly<Record<string, string>>

/** What a journal had to say when it was opened. */
export interface Found {
  /** Measurements that are there already. */
  readonly entries: number
  /** Parts of the key that differ from those of the journal that lay there; it was put aside. */
  readonly changed: readonly string[]
}

/**
 * Measurements that are done, one a line of JSON, in a folder of their own. A line is written and synced before the next
 * measurement begins. A process that is killed leaves a torn last line at most: that is cut off. Lines that cannot be read
 * elsewhere (a disk that lost a block) are passed over: what they held is measured again.
 */
export class Journal {
  readonly found: Found
  readonly #file: Awaited<ReturnType<typeof open>>
  readonly #unlock: () => void
  readonly #entries: Map<string, unknown>

  private constructor(
    file: Awaited<ReturnType<typeof open>>,
    unlock: () => void,
    entries: Map<string, unknown>,
    found: Found,
  ) {
    this.#file = file
    this.#unlock = unlock
    this.#entries = entries
    this.found = found
  }

  /**
   * Opens the journal of a folder, or begins one. One with another key is kept under another name and a new one begun.
   *
   * @param fresh puts an old one aside in any case
   * @throws SubtenError CONFIG_INVALID where another process has it, or the folder cannot be written
   */
  static async open(folder: string, key: JournalKey, fresh = false): Promise<Journal> {
    const path = join(folder, FILE)
    let unlock: (() => void) | undefined
    try {
      await mkdir(folder, { recursive: true })
      unlock = DISK.lock(join(folder, 'lock'))
      if (unlock === undefined) {
        throw new SubtenError('CONFIG_INVALID', `another process optimises with the state in ${folder}`, {
          remedy: 'Wait for it, end it, or give another folder with --state.',
          details: { file: folder },
        })
      }
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return ''
        throw error
      })
      const old = parseJournal(text)
      const changed = old.key === undefined ? [] : changedParts(old.key, key)
      const keep = old.key !== undefined && changed.length === 0 && !fresh
      if (!keep && text !== '') await rename(path, join(folder, `journal-${Date.now()}.jsonl`))
      const file = await open(path, 'a')
      if (keep) await file.truncate(old.bytes)
      const entries = keep ? old.entries : new Map<string, unknown>()
      const journal = new Journal(file, unlock, entries, { entries: entries.size, changed })
      if (!keep) await journal.#append({ format: FORMAT, key })
      return journal
    } catch (error) {
      unlock?.()
      if (error instanceof SubtenError) throw error
      throw new SubtenError('CONFIG_INVALID', `the state in ${folder} cannot be kept: ${(error as Error).message}`, {
        cause: error,
        remedy: 'Give a folder that can be written with --state.',
        details: { file: folder },
      })
    }
  }

  /** What a folder holds for this key, without changing anything. */
  static async look(folder: string, key: JournalKey): Promise<Found> {
    const old = parseJournal(await readFile(join(folder, FILE), 'utf8').catch(() => ''))
    return { entries: old.entries.size, changed: old.key === undefined ? [] : changedParts(old.key, key) }
  }

  /** The value of this name, or what `make` gives, which is then written down. */
  async once<T>(name: string, make: () => Promise<T>): Promise<T> {
    if (this.#entries.has(name)) return this.#entries.get(name) as T
    const value = await make()
    await this.#append({ name, value })
    // As it would be read, so that a run in one go and one that was resumed see the same.
    const kept = JSON.parse(JSON.stringify(value)) as T
    this.#entries.set(name, kept)
    return kept
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  async close(): Promise<void> {
    await this.#file.close()
    this.#unlock()
  }

  async #append(value: object): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(value)}\n`)
    await this.#file.datasync()
  }
}

interface Parsed {
  readonly key?: JournalKey
  readonly entries: Map<string, unknown>
  /** Length of what is whole: up to and with the last line's end. */
  readonly bytes: number
}

/** Reads what a journal holds, whole lines only. */
export function parseJournal(text: string): Parsed {
  const end = text.lastIndexOf('\n') + 1
  const entries = new Map<string, unknown>()
  let key: JournalKey | undefined
  for (const [number, line] of text.slice(0, end).split('\n').entries()) {
    const value = parsed(line)
    if (number === 0) {
      if (value?.format !== FORMAT || typeof value.key !== 'object' || value.key === null) break
      key = value.key as JournalKey
    } else if (typeof value?.name === 'string') entries.set(value.name, value.value)
  }
  return { ...(key === undefined ? {} : { key }), entries, bytes: Buffer.byteLength(text.slice(0, end)) }
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function changedParts(old: JournalKey, now: JournalKey): string[] {
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((part) => old[part] !== now[part])
}
