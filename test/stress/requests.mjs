// One request in every way the public API has, with what may happen to it. Each resolves when its requests have ended.
import { setImmediate as turn } from 'node:timers/promises'
import { endOf } from './ledger.mjs'

const DEADLINES_MS = [0, 0.001, 0.05, 0.5, 5, 50]

export class Requests {
  /** `id` is in every payload; `ledger` and `row` count; `report(text)` takes what went wrong. */
  constructor({ id, row, ledger, random, report }) {
    Object.assign(this, { id, row, ledger, random, report, seq: 0, forgotten: 0 })
  }

  /** One or several requests to the model of `handle`, in a way chosen by chance. */
  async some(handle) {
    const { random } = this
    const { entry } = handle
    const way = random.below(100)
    if (way < 6 && !entry.noSync) return this.sync(handle)
    if (way < 14 && !entry.steady) return this.many(handle)
    if (way < 26 && !entry.noClaim) return this.claimed(handle)
    if (way < 28 && !entry.steady) return this.refused(handle)
    const request = this.#request(handle)
    return this.#settle(request, () => handle.model.infer(request.inputs, request.options))
  }

  #request(handle, rows = this.#rows(handle.entry), signals = true) {
    const { entry } = handle
    const seq = this.seq++
    const inputs = entry.make(this.id, seq, rows, this.random)
    const request = { handle, seq, rows, inputs, options: {}, allowed: ['OK', ...(entry.codes ?? [])] }
    if (this.random.oneIn(8)) request.options.trace = true
    if (this.random.oneIn(3)) request.options.bytes = true
    if (this.random.oneIn(4)) request.options.priority = this.random.below((entry.priorities ?? 1) + 1)
    if (this.random.oneIn(10)) request.options.timeoutUs = this.random.below(3000)
    if (entry.priorities) request.allowed.push('DEADLINE_EXCEEDED') // its queue policies have timeouts
    // The large rows and those of any length fill the memory; an output that finds none fails its request.
    if (entry.options.memoryMb) request.allowed.push('QUEUE_FULL', 'QUEUE_FULL output')
    if (entry.options.whenFull !== 'wait') request.allowed.push('QUEUE_FULL')
    if (!entry.steady) {
      if (this.random.oneIn(4)) this.#giveDeadline(request)
      if (signals && this.random.oneIn(4)) this.#giveSignal(request)
    }
    return request
  }

  #rows({ maxRows }) {
    return this.random.oneIn(5) ? 1 + this.random.below(maxRows) : 1
  }

  #giveDeadline(request) {
    request.options.deadlineMs = this.random.pick(DEADLINES_MS)
    request.allowed.push('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED room')
  }

  /** A signal that aborts before the request, right after it, at some time while it runs, or after its end. */
  #giveSignal(request) {
    const { random } = this
    const controller = new AbortController()
    const reason = { aborted: request.seq }
    const abort = () => controller.abort(reason)
    request.options.signal = controller.signal
    request.reason = reason
    switch (random.below(6)) {
      case 0:
        abort()
        request.allowed = ['ABORTED']
        return
      case 1:
        request.afterwards = abort
        return
      case 2:
        request.now = abort
        break
      case 3:
        request.now = () => queueMicrotask(abort)
        break
      case 4:
        request.now = () => setImmediate(abort)
        break
      default:
        request.now = () => setTimeout(abort, random.below(4))
    }
    request.allowed.push('ABORTED')
  }

  /** Counts a request and how it ends, and looks whether it may end so and whether the outputs are its own. */
  async #settle(request, start) {
    const { handle } = request
    this.ledger.attempt(this.row, handle.core)
    let end = 'OK'
    let outputs
    try {
      const promise = start()
      request.now?.()
      outputs = await promise
    } catch (error) {
      end = request.reason !== undefined && error === request.reason ? 'ABORTED' : endOf(error)
    }
    request.afterwards?.()
    this.#count(request, end)
    if (end === 'OK') this.#compare(request, outputs)
    // Refusals come at once: without a turn of the event loop nothing would ever be drained.
    if (end === 'QUEUE_FULL' || end === 'MODEL_CLOSED') await turn()
    return end
  }

  #count(request, end) {
    const { handle, allowed } = request
    const known = /^[A-Z_]+( output| room)?$/.test(end)
    if (known) this.ledger.end(this.row, handle.core, end)
    const closing = handle.closing && (end === 'MODEL_CLOSED' || end === 'SLOT_RELEASED')
    if (!allowed.includes(end) && !closing) {
      this.report(`${handle.entry.key} ${this.id}/${request.seq} ended with ${end}, allowed were ${allowed.join(', ')}`)
    }
  }

  #compare({ handle, inputs, seq, rows }, outputs) {
    const wrong = handle.entry.wrong(inputs, outputs, rows, this.id, seq)
    if (wrong) this.report(`${handle.entry.key} ${this.id}/${seq} got what is not its own: ${wrong}`)
  }

  async sync(handle) {
    const request = this.#request(handle, undefined, false)
    request.options = {}
    request.allowed.push('QUEUE_FULL', 'QUEUE_FULL output')
    await this.#settle(request, () => handle.model.inferSync(request.inputs))
    await turn()
  }

  /** inferMany, whose rows wait for room whatever the model says; each row is a request. */
  async many(handle) {
    const first = this.#request(handle, 1, false)
    const requests = [first]
    for (let more = this.random.below(12); more > 0; more--) {
      const next = { ...first, seq: this.seq++ }
      next.inputs = handle.entry.make(this.id, next.seq, 1, this.random)
      requests.push(next)
    }
    for (const _ of requests) this.ledger.attempt(this.row, handle.core)
    const inputs = requests.map((request) => request.inputs)
    const results = await handle.model.inferMany(inputs, { ...first.options, onError: 'settle' })
    results.forEach(({ ok, value, error }, i) => {
      this.#count(requests[i], ok ? 'OK' : endOf(error))
      if (ok) this.#compare(requests[i], value)
    })
    await turn()
  }

  /** Zero-copy: a claimed slot, submitted once or twice, released after, during or never. */
  async claimed(handle) {
    const { random } = this
    let slot
    try {
      const rows = this.#rows(handle.entry)
      const shape = handle.model.inputs[0].shape.map((dim, i) => (i === 0 ? rows : dim < 0 ? random.below(300) : dim))
      slot = handle.model.tryClaim({ rows, shapes: { [handle.model.inputs[0].name]: shape } })
      if (slot === null) return await turn()
      for (let uses = 1 + random.below(2); uses > 0; uses--) await this.#submitSlot(handle, slot, rows)
    } catch (error) {
      if (!['MODEL_CLOSED', 'SLOT_RELEASED', 'OUT_OF_MEMORY'].includes(error?.code)) throw error
      if (!handle.closing && error.code !== 'OUT_OF_MEMORY') this.report(`a claim failed: ${error.stack}`)
    }
    if (slot && random.oneIn(20)) this.forgotten++
    else slot?.release()
  }

  async #submitSlot(handle, slot, rows) {
    const name = handle.model.inputs[0].name
    const request = this.#request(handle, rows)
    // A claimed slot is not kept waiting, whatever the model says of a full queue.
    if (request.allowed.includes('OK')) request.allowed.push('QUEUE_FULL')
    const { data } = slot.inputs[name]
    const given = request.inputs[name].data ?? request.inputs[name]
    // A width of its own for models that take any: as many of the words as the claim has room for.
    const own =
      data.length === given.length ? given : given.constructor.from(data, (_, i) => given[i % given.length] ?? 0)
    data.set(own)
    request.inputs = { [name]: own }
    if (this.random.oneIn(12) && !handle.entry.steady) {
      const before = request.now
      request.now = () => {
        before?.()
        slot.release()
      }
      request.allowed.push('SLOT_RELEASED')
    }
    let kept
    const end = await this.#settle(request, () => slot.submit(request.options).then((outputs) => (kept = outputs)))
    if (end !== 'OK') throw Object.assign(new Error('this slot is over'), { code: 'OUT_OF_MEMORY' })
    if (!this.random.oneIn(4)) return
    slot.release()
    const [output] = Object.values(kept)
    let code
    try {
      void output.data
    } catch (error) {
      code = error.code
    }
    if (code !== 'SLOT_RELEASED') this.report(`${handle.entry.key}: a view was readable after its slot was released`)
    throw Object.assign(new Error('this slot is over'), { code: 'OUT_OF_MEMORY' })
  }

  /** Requests that are wrong in themselves: refused before anything of them is queued. */
  async refused(handle) {
    const request = this.#request(handle, 1, false)
    const [name] = Object.keys(request.inputs)
    const tooMany = handle.model.maxBatchSize > 0 && !handle.entry.noClaim && this.random.oneIn(2)
    request.allowed = ['INVALID_INPUT', 'QUEUE_FULL']
    request.options = this.random.oneIn(2) ? {} : { priority: 9 }
    if (!tooMany)
      request.inputs = request.options.priority ? request.inputs : { [name]: new Float32Array(0).fill(0), z: 1 }
    else {
      const rows = handle.model.maxBatchSize + 1
      const whole = handle.entry.make(this.id, request.seq, rows, this.random)
      request.inputs = whole
      request.allowed = ['BATCH_TOO_LARGE', 'INVALID_INPUT', 'QUEUE_FULL']
    }
    await this.#settle(request, () => handle.model.infer(request.inputs, request.options))
  }
}
