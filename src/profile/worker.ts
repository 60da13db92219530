import { once } from 'node:events'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { attach } from '../runtime/attach.js'
import type { CallerSpec } from './caller-spec.js'
import { type Generated, generate, type Plan, type Progress } from './generator.js'
import { httpCaller } from './http-caller.js'
import { modelCaller } from './model-caller.js'
import { Pacer, pace } from './pacer.js'
import { threadCpuUs, threadId } from './thread-cpu.js'

/** workerData of this file; or `{ pace, port }` for the pacing thread. */
export interface GeneratorData {
  readonly generate: { readonly caller: CallerSpec; readonly plan: Plan }
}

/**
 * What the thread posts. After `measuring` it waits for any message before it measures; after `done` it waits to be
 * terminated, since with its handle on the model the figures of its requests would go.
 */
export type FromGenerator =
  | { readonly kind: 'progress'; readonly progress: Progress }
  /** Processor time of the generator's threads so far. */
  | { readonly kind: 'measuring'; readonly cpuUs?: number }
  | { readonly kind: 'done'; readonly generated: Generated; readonly cpuUs?: number }
  | { readonly kind: 'failed'; readonly error: unknown }

const data = workerData as GeneratorData | { readonly pace: SharedArrayBuffer; readonly port: MessagePort }
const main = parentPort as MessagePort

if ('pace' in data) {
  main.postMessage(threadId())
  pace(data.pace, data.port)
  data.port.close()
} else {
  await run(data.generate)
}

async function run({ caller: spec, plan }: GeneratorData['generate']): Promise<void> {
  const post = (message: FromGenerator): void => main.postMessage(message)
  const pacer = new Pacer(new URL(import.meta.url))
  const threads = [threadId(), await pacer.started()]
  const model = spec.kind === 'model' ? attach(spec.token) : undefined
  try {
    const caller =
      spec.kind === 'http'
        ? await httpCaller(spec.requests)
        : modelCaller(model as NonNullable<typeof model>, spec.inputs, spec.deadlineMs)
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
    await pacer.close()
    post({ kind: 'done', generated, cpuUs })
  } catch (error) {
    await pacer.close()
    post({ kind: 'failed', error })
  }
  await once(main, 'message')
}
