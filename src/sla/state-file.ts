import { dirname, resolve } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import { DISK, type Disk, type DiskFile } from './state-disk.js'
import { decodeRecords, encodeRecord } from './state-records.js'

/** A file that grew to so many bytes, and to three times its last snapshot, is written anew. */
const COMPACT_BYTES = 256 * 1024

/** What a record holds beside its number: all of the state, or what was added to it. */
export type StateRecord<S, D> = { readonly snapshot: S } | { readonly delta: D }

interface Numbered {
  readonly n: number
}

export interface StateFileOptions {
  readonly disk?: Disk
  readonly warn?: (message: string) => void
  readonly compactBytes?: number
}

/**
 * An append-only file of numbered records. {@link append} resolves when the record would survive a loss of power; after a
 * kill at any moment {@link open} gives exactly the records that were acknowledged, and at most the one that was on its
 * way, whole. Bounded: a snapshot takes the place of what it sums up, in a new file that is renamed over the old one.
 *
 * A torn end is cut off and damage in the middle is passed over, each with a warning; a record that was not written as it
 * stands is never used, nor one twice.
 */
export class StateFile<S, D> {
  readonly path: string
  readonly #disk: Disk
  readonly #unlock: () => void
  readonly #compactBytes: number
  #file: DiskFile
  #size: number
  #number: number
  #snapshotBytes = 0
  #renamed = false
  #busy: Promise<unknown> = Promise.resolve()

  private constructor(path: string, disk: Disk, file: DiskFile, unlock: () => void, compactBytes: number) {
    this.path = path
    this.#disk = disk
    this.#file = file
    this.#unlock = unlock
    this.#size = 0
    this.#number = 0
    this.#compactBytes = compactBytes
  }

  /**
   * Opens or makes the file, and reads what is in it: the last snapshot and what was added after it.
   *
   * @throws SubtenError CONFIG_INVALID when another process (or another contract of this one) has it, or when it cannot
   *   be opened
   */
  static async open<S, D>(
    path: string,
    options: StateFileOptions = {},
  ): Promise<{ file: StateFile<S, D>; snapshot: S | undefined; deltas: readonly D[] }> {
    const { disk = DISK, compactBytes = COMPACT_BYTES } = options
    const warn = options.warn ?? ((message) => process.emitWarning(message, { code: 'SUBTEN_SLA_STATE' }))
    const whole = resolve(path)
    const unlock = locked(disk, whole)
    try {
      const opened = await disk.open(whole, false)
      const data = await opened.read()
      const { payloads, end, damage } = decodeRecords(data)
      for (const each of damage) warn(`SLA state ${whole}: ${each}; events of that time are missing`)
      const file = new StateFile<S, D>(whole, disk, opened, unlock, compactBytes)
      const read = file.#take(payloads)
      // Good records behind the damage stay where they are; only the torn end goes.
      if (end < data.length) await opened.truncate(end)
      file.#size = end
      // The entry in the directory must survive as well.
      if (data.length === 0) await disk.syncDirectory(dirname(whole))
      return { file, ...read }
    } catch (error) {
      unlock()
      throw error instanceof SubtenError ? error : unusable(whole, error)
    }
  }

  get bytes(): number {
    return this.#size
  }

  /** Whether the file has grown so far that {@link compact} should be called. */
  get full(): boolean {
    return this.#size > Math.max(this.#compactBytes, 3 * this.#snapshotBytes)
  }

  /** Resolves when the record is on the disk. One that failed is not there, and the next takes its place. */
  append(delta: D): Promise<void> {
    return this.#inTurn(async () => {
      // Until the directory has the new file for good, a loss of power would bring back the old one without this record.
      if (this.#renamed) await this.#disk.syncDirectory(dirname(this.path))
      this.#renamed = false
      const record = encodeRecord({ n: this.#number + 1, delta })
      await this.#file.write(record, this.#size)
      await this.#file.sync()
      this.#number++
      this.#size += record.length
    })
  }

  /** Writes a new file with this alone, and puts it in the place of the old one. */
  compact(snapshot: S): Promise<void> {
    return this.#inTurn(async () => {
      const record = encodeRecord({ n: this.#number + 1, snapshot })
      const beside = `${this.path}.new`
      const file = await this.#disk.open(beside, true)
      try {
        await file.write(record, 0)
        await file.sync()
        await this.#disk.rename(beside, this.path)
      } catch (error) {
        await file.close().catch(() => {})
        throw error
      }
      // The new file has the name from here on, whatever fails below.
      const old = this.#file
      this.#file = file
      this.#number++
      this.#size = this.#snapshotBytes = record.length
      this.#renamed = true
      await old.close().catch(() => {})
    })
  }

  async close(): Promise<void> {
    await this.#inTurn(() => this.#file.close()).finally(this.#unlock)
  }

  #take(payloads: readonly unknown[]): { snapshot: S | undefined; deltas: readonly D[] } {
    let snapshot: S | undefined
    let deltas: D[] = []
    for (const payload of payloads) {
      if (typeof payload !== 'object' || payload === null) continue
      const record = payload as Numbered & StateRecord<S, D>
      // Numbers only grow: a part of the file that was copied behind itself counts once.
      if (typeof record.n !== 'number' || record.n <= this.#number) continue
      this.#number = record.n
      if ('snapshot' in record) {
        snapshot = record.snapshot
        deltas = []
      } else {
        deltas.push(record.delta)
      }
    }
    return { snapshot, deltas }
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#busy.then(run)
    this.#busy = turn.catch(() => {})
    return turn
  }
}

function locked(disk: Disk, path: string): () => void {
  let unlock: (() => void) | undefined
  try {
    unlock = disk.lock(`${path}.lock`)
  } catch (error) {
    throw unusable(path, error)
  }
  if (unlock !== undefined) return unlock
  throw new SubtenError('CONFIG_INVALID', `slaState: ${path} is in use by another process, or by another contract`, {
    remedy: 'Give each process a state file of its own (--sla-state FILE, slaState), or stop the other one first.',
    details: { field: 'slaState', file: path },
  })
}

function unusable(path: string, cause: unknown): SubtenError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SubtenError('CONFIG_INVALID', `slaState: ${path} cannot be used: ${why}`, {
    remedy: 'Name a file in a folder that exists and that this process may write to.',
    details: { field: 'slaState', file: path },
    cause,
  })
}
