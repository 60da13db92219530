import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { installed } from '../runtime/addon-file.js'
import { SubtenError } from '../runtime/errors.js'
import type { Caller } from './caller.js'
import type { CallerSpec } from './caller-spec.js'
import { type Generated, generate, type Plan, type Progress } from './generator.js'
import { coarseWait } from './pacer.js'
import { threadCpuUs, threadId } from './thread-cpu.js'
import type { FromGenerator, GeneratorData } from './worker.js'

/** What happens around a run, on the thread that asked for it. */
export interface Watcher {
  /** Reads the figures that the measured part is compared with. */
  measuring(): Promise<void>
  /** Reads them again, while the generator still holds what it measured with. */
  measured(generatorCpuUs: number | undefined): Promise<void>
  progress(progress: Progress): void
  readonly signal?: AbortSignal
}

/** Runs the generator in a thread of its own. */
export async function runInThread(caller: CallerSpec, plan: Plan, watcher: Watcher): Promise<Generated> {
  watcher.signal?.throwIfAborted()
  const workerData: GeneratorData = { generate: { caller, plan } }
  // `new Worker(…)` of a path that it cannot know makes Next.js's bundler take every file of this folder for a module.
  const worker: Worker = Reflect.construct(Worker, [workerFile(), { workerData, execArgv: [] }])
  let before: number | undefined
  try {
    return await new Promise<Generated>((resolve, reject) => {
      watcher.signal?.addEventListener('abort', () => reject(watcher.signal?.reason as unknown), { once: true })
      worker.once('error', reject)
      worker.once('exit', (code) =>
        reject(new SubtenError('ENGINE_FAILED', `the thread of the load generator ended (${code})`)),
      )
      worker.on('message', (message: FromGenerator) => {
        if (message.kind === 'progress') watcher.progress(message.progress)
        else if (message.kind === 'failed') reject(message.error as Error)
        else if (message.kind === 'measuring') {
          before = message.cpuUs
          watcher.measuring().then(() => worker.postMessage('go'), reject)
        } else {
          watcher.measured(minus(message.cpuUs, before)).then(() => resolve(message.generated), reject)
        }
      })
    })
  } finally {
    await worker.terminate()
  }
}

/** Runs the generator on this thread, for models that no other thread can use: fakes of tests. */
export async function runHere(caller: Caller, plan: Plan, watcher: Watcher): Promise<Generated> {
  watcher.signal?.throwIfAborted()
  const threads = [threadId()]
  let before: number | undefined
  const generated = await generate(plan, caller, {
    wait: coarseWait,
    progress: (progress) => watcher.progress(progress),
    measuring: async () => {
      await watcher.measuring()
      before = threadCpuUs(threads)
    },
  })
  await watcher.measured(minus(threadCpuUs(threads), before))
  return generated
}

function minus(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before
}

/** One file for both module formats: a thread shares no classes with who started it. */
function workerFile(): URL {
  const { root, folder } = installed()
  const places = [join(folder, 'profile-worker.js'), ...(root ? [join(root, 'dist', 'profile-worker.js')] : [])]
  const found = places.find((file) => existsSync(file))
  if (found) return pathToFileURL(found)
  throw new SubtenError('NOT_SUPPORTED', `the load generator's file is not there: ${places.at(-1)}`, {
    remedy: 'Install subten as a package beside the bundle, or in a checkout run `npm run build`.',
  })
}
