import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { inRootContext } from '../runtime/root-context.js'

/** A table has a few hundred bytes a batch size; anything larger is some other file. */
const MAX_BYTES = 1024 * 1024
const FORMAT = 'subten-latency-1'
const SAVE_EVERY_MS = 60_000

/** What the latencies of a model depend on: a table of another model, engine or machine is not read. */
export interface LatencyFacts {
  readonly engine: string
  /** What computes: the addon and the engine's library. */
  readonly library: string
  /** Path, bytes and time of the last change; '' for engines that read no file. */
  readonly file: string
  readonly parameters: readonly (readonly [string, string])[]
  readonly instances: number
  readonly maxBatchSize: number
  /** Batches are padded to the largest size. */
  readonly deterministic: boolean
  /** Where the engine computes. */
  readonly devices?: unknown
}

/**
 * The learned latencies of one model, kept between processes: `<cache>/latency/<key>.json`. Best effort in both
 * directions: what cannot be read is as if it were not there, what cannot be written is not written.
 */
export class LatencyFile {
  readonly path: string
  readonly #key: string
  #saved = ''
  /** The write under way; the next one waits for it. */
  #writing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(directory: string, facts: LatencyFacts) {
    const cpu = cpus()[0]?.model ?? ''
    this.#key = createHash('sha256')
      .update(JSON.stringify({ ...facts, cpu }))
      .digest('hex')
      .slice(0, 32)
    this.path = join(directory, 'latency', `${this.#key}.json`)
  }

  /** The table that an earlier process left; '' where there is none that can be used. */
  async read(): Promise<string> {
    try {
      const kept = JSON.parse(await smallFile(this.path)) as { format?: unknown; key?: unknown; table?: unknown }
      if (kept.format !== FORMAT || kept.key !== this.#key || typeof kept.table !== 'string') return ''
      this.#saved = kept.table
      return kept.table
    } catch {
      return ''
    }
  }

  /**
   * Saves what `table` gives once a minute, until {@link close} or until it gives undefined: the model is gone. The timer
   * keeps no process alive.
   */
  keep(table: () => string | undefined): void {
    const tick = (): void => {
      const now = table()
      if (now === undefined) clearInterval(this.#timer)
      else void this.save(now)
    }
    this.#timer = inRootContext(() => setInterval(tick, SAVE_EVERY_MS).unref())
  }

  /** Never rejects. */
  save(table: string): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write(table)).catch(() => {})
    return this.#writing
  }

  async close(table: string): Promise<void> {
    clearInterval(this.#timer)
    await this.save(table)
  }

  /** Others may read, or write their own, at any time: they see the file before or the file after. */
  async #write(table: string): Promise<void> {
    if (table === '' || table === this.#saved) return
    await mkdir(join(this.path, '..'), { recursive: true, mode: 0o700 })
    const temporary = `${this.path}.${process.pid}.${Math.random().toString(36).slice(2)}`
    try {
      await writeFile(temporary, `${JSON.stringify({ format: FORMAT, key: this.#key, table })}\n`, { flag: 'wx' })
      await rename(temporary, this.path)
      this.#saved = table
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }
}

/** Rejects for what is no ordinary file of at most {@link MAX_BYTES}: the name may stand for a pipe, on which none waits. */
async function smallFile(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const status = await handle.stat()
    if (!status.isFile() || status.size > MAX_BYTES) throw new Error('not a table')
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}
