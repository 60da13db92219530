// The shared models: the main thread holds a handle on each, so that it can look at the counts of all its producers.
import { load } from '../../dist/index.js'
import { auditCore, MAX_CORES } from './ledger.mjs'

export class Cores {
  #cores = new Map()
  #own = { number: 0, lost: [] } // models of a worker's own
  /** Replaced by a newer core, and to be closed when their producers have left them. */
  #retired = []
  #next = 1

  constructor({ entries, ledger, report }) {
    Object.assign(this, { entries, ledger, report })
  }

  async open(key) {
    const entry = this.entries.find((each) => each.key === key)
    const model = await load(entry.path, entry.options)
    const core = { entry, model, number: this.#next++, fresh: model.stats().memory.used, lost: [] }
    const old = this.#cores.get(key)
    if (old) this.#retired.push(old)
    this.#cores.set(key, core)
    return core
  }

  all() {
    return [...this.#cores.values(), ...this.#retired]
  }

  /** Another core may be opened: the ledger has a place for it. */
  get room() {
    return this.#next < MAX_CORES
  }

  share({ entry, model, number }) {
    return { key: entry.key, token: model.share(), core: number }
  }

  tokens() {
    return [...this.#cores.values()].map((core) => this.share(core))
  }

  /** Requests of a worker that was terminated will not end any more; returns how many there were. */
  lose(row) {
    let lost = 0
    for (const core of [...this.all(), this.#own]) {
      const open = this.ledger.openOf(row, core.number)
      lost += open - (core.lost[row] ?? 0)
      core.lost[row] = open
    }
    return lost
  }

  /**
   * Nothing is under way: what a core counted must be what its producers saw, and its memory must be back, as soon as
   * forgotten slots have been collected (`collect`).
   */
  async audit(collect) {
    for (
      let tries = 0;
      tries < 50 && this.all().some((core) => core.model.stats().memory.used !== core.fresh);
      tries++
    ) {
      await collect()
    }
    for (const { entry, model, number, lost, fresh } of this.all()) {
      const stats = model.stats()
      const gone = lost.reduce((sum, each) => sum + (each ?? 0), 0)
      const problems = auditCore(this.ledger.ofCore(number), stats, gone, entry.steady)
      if (stats.memory.used !== fresh) problems.push(`${stats.memory.used - fresh} bytes of the slab are not back`)
      for (const problem of problems) this.report(`${entry.key} (core ${number}): ${problem}`)
    }
    for (const { model } of this.#retired.splice(0)) await model.close()
  }

  async close() {
    for (const { model } of this.all()) await model.close()
  }
}
