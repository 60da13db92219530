import { once } from 'node:events'
import { setPriority } from 'node:os'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { attach } from '../runtime/attach.js'
import type { CallerSpec } from './caller-spec.js'
import { type Generated, generate, type Plan, type Progress } from './generator.js'
import { httpCaller } from './http-caller.js'
import { modelCaller } from './model-caller.js'
import { Pacer } from './pacer.js'
import { threadCpuUs, threadId } from './thread-cpu.js'

/** workerData of this file. */
export interface GeneratorData {
  readonly generate: { readonly caller: CallerSpec; readonly plan: Plan }
}

/**
 * What the thread posts. After `measuring` it waits for any message before it measures; after `done` it waits to be
 * terminated, since with its handle on the model the figures of its requests would go.
 */
export type FromGenerator =
  | { readonly kind: 'progress'; readonly progress: Progress }
  /** Processor time of the generator's thread so far. */
  | { readonly kind: 'measuring'; readonly cpuUs?: number }
  | { readonly kind: 'done'; readonly generated: Generated; readonly cpuUs?: number }
  | { readonly kind: 'failed'; readonly error: unknown }

/** As `nice` counts: sends that were more than 1 ms late became a third fewer with it. */
const CLIENTS_PRIORITY = -10

const main = parentPort as MessagePort

await run((workerData as GeneratorData).generate)

async function run({ caller: spec, plan }: GeneratorData['generate']): Promise<void> {
  goFirst()
  const post = (message: FromGenerator): void => main.postMessage(message)
  const pacer = new Pacer()
  const threads = [threadId()]
  const model = spec.kind === 'model' ? attach(spec.token) : undefined
  try {
    const caller =
      spec.kind === 'http'
        ? await httpCaller(spec.requests)
        : modelCaller(model as NonNullable<typeof model>, spec.inputs, spec.deadline)
    const generated = await generate(plan, caller, {
      wait: (ms) => pacer.wait(ms),
      progress: (progress) => post({ kind: 'progress', progress }),
      async measuring() {
        post({ kind: 'measuring', cpuUs: threadCpuUs(threads) })
        await once(main, 'message')
      },
    })
    await caller.close()
    const cpuUs = threadCpuUs(threads)
    pacer.close()
    post({ kind: 'done', generated, cpuUs })
  } catch (error) {
    pacer.close()
    post({ kind: 'failed', error })
  }
  await once(main, 'message')
}

/** Where it may, this thread goes before those it measures: it stands for clients that have processors of their own. */
function goFirst(): void {
  try {
    setPriority(Number(threadId()), CLIENTS_PRIORITY)
  } catch {
    // Only root may; what it cost is in the proof of the schedule.
  }
}
