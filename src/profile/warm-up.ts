import { meanRate } from './load-plan.js'
import type { Sink } from './recorder.js'
import type { Load } from './report-types.js'
import { SteadyState } from './steady.js'

/** Windows whose mean latency is one observation, at least; longer where few requests come. */
const WINDOW_MS = 20
const REQUESTS_A_WINDOW = 2

interface WarmUpPlan {
  readonly load: Load
  readonly seconds: number
  readonly warmup: number | 'auto'
  readonly warmupMaxSeconds: number
}

/** Watches the requests before the measured part, and says when it may begin. */
export class WarmUp implements Sink {
  readonly #plan: WarmUpPlan
  readonly #began: number
  readonly #windowNs: number
  readonly #state = new SteadyState()
  #windowEnd: number
  #sum = 0
  #count = 0
  #steady = false
  sentCount = 0
  endedCount = 0

  /** @param began nanoseconds on the generator's clock */
  constructor(plan: WarmUpPlan, began: number) {
    this.#plan = plan
    this.#began = began
    const rate = plan.load.kind === 'closed' ? Number.POSITIVE_INFINITY : meanRate(plan.load, plan.seconds)
    this.#windowNs = Math.max(WINDOW_MS * 1e6, (REQUESTS_A_WINDOW / rate) * 1e9)
    this.#windowEnd = began + this.#windowNs
  }

  sent(): void {
    this.sentCount++
  }

  ended(due: number, _sent: number, now: number, code?: string): void {
    this.endedCount++
    if (now >= this.#windowEnd) this.#next(now)
    if (code !== undefined) return
    this.#sum += now - due
    this.#count++
  }

  aborted(): void {
    this.endedCount++
  }

  over(now: number): boolean {
    const { warmup, warmupMaxSeconds } = this.#plan
    const passed = (now - this.#began) / 1e9
    if (warmup !== 'auto') return passed >= warmup
    return this.#steady || passed >= warmupMaxSeconds
  }

  result(now: number): { seconds: number; requests: number; steady: boolean; how: string } {
    const seconds = (now - this.#began) / 1e9
    const requests = this.sentCount
    if (this.#plan.warmup !== 'auto') {
      return { seconds, requests, steady: this.#steady, how: `${this.#plan.warmup} s, as asked` }
    }
    const how = this.#steady
      ? 'until the mean latency was steady (MSER-5)'
      : `${this.#plan.warmupMaxSeconds} s, the most allowed: the mean latency was not steady (MSER-5)`
    return { seconds, requests, steady: this.#steady, how }
  }

  #next(now: number): void {
    if (this.#count > 0) this.#steady = this.#state.observe(this.#sum / this.#count)
    this.#sum = 0
    this.#count = 0
    this.#windowEnd = now + this.#windowNs
  }
}
