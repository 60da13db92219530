import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'

/** The order that ends the pacing thread. */
const OVER = -1

/**
 * Waits for a moment to some tens of microseconds without keeping a processor busy. Timers of Node are 1 ms grained, and
 * turns of the event loop until the moment has come take a processor from what is measured; worse, a thread that spins is
 * put behind others where processors are scarce.
 * Here a second thread sleeps on a futex, whose time-out is exact to the kernel's timer slack, and wakes the event loop
 * by a message. The loop itself sleeps in its poll: answers are read when they come.
 */
export class Pacer {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #words: Int32Array
  readonly #due: Float64Array
  #wake: (() => void) | undefined
  #order = 0

  /** @param file the entry that calls {@link pace} when its workerData has `pace` */
  constructor(file: URL) {
    const memory = new SharedArrayBuffer(16)
    const { port1, port2 } = new MessageChannel()
    this.#words = new Int32Array(memory)
    this.#due = new Float64Array(memory)
    this.#port = port1
    this.#port.on('message', () => this.#wake?.())
    this.#worker = new Worker(file, {
      workerData: { pace: memory, port: port2 },
      transferList: [port2],
      execArgv: [],
    })
  }

  /** The thread, as the kernel knows it, once it runs. */
  async started(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#worker.once('message', resolve)
      this.#worker.once('error', reject)
    })
  }

  /** Resolves `ms` from now, or a little later. One wait at a time. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#due[1] = clockMs() + ms
      Atomics.store(this.#words, 0, ++this.#order) // pairs with the load in pace(): `due` is seen with it
      Atomics.notify(this.#words, 0)
    })
  }

  /** Ends the thread by its own return: it is not terminated in the middle of a sleep. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#worker.once('exit', () => resolve())
      this.#port.close()
      Atomics.store(this.#words, 0, OVER)
      Atomics.notify(this.#words, 0)
    })
  }
}

/** The pacing thread: sleeps until the moment it was last told, says so, and sleeps until it is told another. */
export function pace(memory: SharedArrayBuffer, port: MessagePort): void {
  const words = new Int32Array(memory)
  const due = new Float64Array(memory)
  let order = 0
  for (;;) {
    Atomics.wait(words, 0, order)
    order = Atomics.load(words, 0)
    if (order === OVER) return
    // A wake alone says nothing: the notification of this very order may come when it was read already.
    const changed = (): boolean => Atomics.load(words, 0) !== order
    for (let left = (due[1] as number) - clockMs(); left > 0 && !changed(); left = (due[1] as number) - clockMs()) {
      Atomics.wait(words, 0, order, left)
    }
    if (!changed()) port.postMessage(0)
  }
}

/** The monotonic clock that all threads read alike; performance.now() counts from the start of its own thread. */
function clockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
