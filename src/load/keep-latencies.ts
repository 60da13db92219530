import { statSync } from 'node:fs'
import type { ModelConfig } from '../repository/config-types.js'
import type { LocatedModel } from '../repository/repository.js'
import { engineParameters } from '../repository/subten-parameters.js'
import { installed, onnxruntimeFile } from '../runtime/addon-file.js'
import { addon } from '../runtime/binding.js'
import { cacheDirectory } from '../runtime/cache-directory.js'
import type { NativeModel } from '../runtime/model.js'
import type { LoadOptions } from '../runtime/types.js'
import { LatencyFile } from './latency-file.js'
import { tritonFiles } from './triton-files.js'

/** The file with the latencies of a model that is scheduled by them; undefined where the option turns it off. */
export function latencyFile(
  located: LocatedModel,
  config: ModelConfig,
  engine: string,
  options: LoadOptions,
  deterministic: boolean,
): LatencyFile | undefined {
  const directory = cacheDirectory(options.latencyCache)
  if (directory === undefined) return undefined
  return new LatencyFile(directory, {
    engine,
    library: engineFacts(engine, options),
    file: fileFacts(located.file ?? located.directory ?? located.name),
    parameters: engineParameters(config),
    instances: config.instance_group.reduce((sum, group) => sum + group.count, 0),
    maxBatchSize: config.max_batch_size,
    deterministic,
    devices: [options.executionProviders, config.instance_group.map(({ kind, gpus }) => [kind, gpus])],
  })
}

/**
 * What computes: the addon, by its version, and the library of the engine. Asking native code for the engine's own
 * version would load the libraries of all engines.
 */
function engineFacts(engine: string, { engineLibrary }: LoadOptions): string {
  const library =
    engine === 'triton'
      ? tritonFiles(engineLibrary).files?.library
      : engine === 'onnxruntime'
        ? engineLibrary || process.env.SUBTEN_ONNXRUNTIME_LIB || onnxruntimeFile(installed())
        : undefined
  return `${addon().version} ${library === undefined ? '' : fileFacts(library)}`
}

/** A file as it is now: another size or time is another file. */
function fileFacts(path: string): string {
  try {
    const { size, mtimeMs } = statSync(path)
    return `${path} ${size} ${mtimeMs}`
  } catch {
    return path
  }
}

/**
 * Saves what is learned, while the model is open and when it closes. The timer must not hold the model, which may be
 * dropped without close().
 */
export function keepLatencies(model: NativeModel, latencies: LatencyFile): void {
  const held = new WeakRef(model)
  latencies.keep(() => held.deref()?.latencyTable())
  model.beforeClose(() => latencies.close(held.deref()?.latencyTable() ?? ''))
}
