// Who asked for what, and how it ended: counters in shared memory, so that those of a terminated worker are not lost.

/** How a request can end, and what else is counted. A code may have two ways, which the statistics count apart. */
export const ENDS = [
  'OK',
  'ABORTED',
  'QUEUE_FULL',
  'QUEUE_FULL output', // taken, run, and then no memory for its output
  'DEADLINE_EXCEEDED',
  'DEADLINE_EXCEEDED room', // it waited for room and was never taken
  'ENGINE_FAILED',
  'MODEL_CLOSED',
  'SLOT_RELEASED',
  'INVALID_INPUT',
  'BATCH_TOO_LARGE',
]
const FIELDS = [...ENDS, 'attempts']
export const MAX_CORES = 512
export const MAX_WORKERS = 16

/** Behind the counters: how many requests of each worker have ended. */
const COUNTERS = MAX_WORKERS * MAX_CORES * FIELDS.length

export function newLedgerMemory() {
  return new SharedArrayBuffer((COUNTERS + MAX_WORKERS) * 4)
}

export class Ledger {
  #counts

  constructor(memory) {
    this.#counts = new Int32Array(memory)
  }

  #at(worker, core, field) {
    return (worker * MAX_CORES + core) * FIELDS.length + field
  }

  attempt(worker, core) {
    Atomics.add(this.#counts, this.#at(worker, core, FIELDS.length - 1), 1)
  }

  end(worker, core, end) {
    Atomics.add(this.#counts, this.#at(worker, core, ENDS.indexOf(end)), 1)
    Atomics.add(this.#counts, COUNTERS + worker, 1)
  }

  /** Requests of a worker that have not ended. */
  open(worker) {
    let open = 0
    for (let core = 0; core < MAX_CORES; core++) open += this.openOf(worker, core)
    return open
  }

  openOf(worker, core) {
    const at = this.#at(worker, core, 0)
    let open = Atomics.load(this.#counts, at + ENDS.length)
    for (let end = 0; end < ENDS.length; end++) open -= Atomics.load(this.#counts, at + end)
    return open
  }

  /** How many requests of a worker have ended. */
  ended(worker) {
    return Atomics.load(this.#counts, COUNTERS + worker)
  }

  /** `{ attempts, OK, ABORTED, … }` of one core over all workers. */
  ofCore(core) {
    return this.#sum([core])
  }

  total() {
    return this.#sum(Array.from({ length: MAX_CORES }, (_, core) => core))
  }

  #sum(cores) {
    const sums = Object.fromEntries(FIELDS.map((field) => [field, 0]))
    for (const core of cores) {
      for (let worker = 0; worker < MAX_WORKERS; worker++) {
        FIELDS.forEach((field, i) => {
          sums[field] += Atomics.load(this.#counts, this.#at(worker, core, i))
        })
      }
    }
    return sums
  }
}

/** Counts of one thread, for a model that it has to itself. */
export class Tally {
  seen = Object.fromEntries(FIELDS.map((field) => [field, 0]))

  attempt() {
    this.seen.attempts++
  }

  end(_worker, _core, end) {
    this.seen[end]++
  }

  get ended() {
    return ENDS.reduce((sum, end) => sum + this.seen[end], 0)
  }
}

/** The end that an error stands for, or its text where it stands for none. */
export function endOf(error) {
  if (error?.code === 'QUEUE_FULL' && error.message.includes('for the output')) return 'QUEUE_FULL output'
  if (error?.code === 'DEADLINE_EXCEEDED' && error.message.includes('waited for room')) return 'DEADLINE_EXCEEDED room'
  return ENDS.includes(error?.code) ? error.code : `${error?.code ?? ''} ${error?.stack ?? error}`
}

/**
 * Compares what a core counted with what the producers saw, when nothing is under way; returns what does not fit.
 * `lost`: requests of terminated workers, whose end nobody saw.
 *
 * steady: its producers neither gave anything up nor waited for room.
 *
 * A request that was aborted (or whose slot was released) may have ended in any way just before: those counts have
 * that much play, and none where nothing was given up.
 */
export function auditCore(seen, stats, lost, steady) {
  const { submitted, succeeded, failed, cancelled, expired, refused, inFlight } = stats.requests
  const given = seen.ABORTED + seen.SLOT_RELEASED + lost
  const problems = []
  const within = (what, value, least, most) => {
    if (value < least || value > most) problems.push(`${what} is ${value}, not within ${least}..${most}`)
  }
  const failures = seen.ENGINE_FAILED + seen['QUEUE_FULL output']
  within('inFlight', inFlight, 0, 0)
  within('succeeded', succeeded, seen.OK, seen.OK + given)
  within('failed', failed, failures, failures + given)
  // One that waited for room in vain has expired as well.
  const late = seen.DEADLINE_EXCEEDED + seen['DEADLINE_EXCEEDED room']
  within('expired', expired, late, late + given)
  within('cancelled', cancelled, 0, given)
  const ended = seen.OK + failures + late
  within('submitted', submitted, ended, ended + given)
  within('submitted − ended', submitted - succeeded - failed - cancelled - expired, 0, 0)
  if (seen.attempts !== lost + ENDS.reduce((sum, end) => sum + seen[end], 0)) problems.push('attempts ≠ ends + lost')
  // Who waits for room looks many times, and each look at a full queue counts as refused.
  if (steady) within('refused', refused, 0, seen.QUEUE_FULL + lost)
  return problems
}
