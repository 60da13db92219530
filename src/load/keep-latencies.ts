import { statSync } from 'node:fs'
import type { ModelConfig } from '../repository/config-types.js'
import type { LocatedModel } from '../repository/repository.js'
import { engineParameters } from '../repository/subten-parameters.js'
import { addon } from '../runtime/binding.js'
import type { NativeModel } from '../runtime/model.js'
import type { LoadOptions } from '../runtime/types.js'
import { cacheDirectory, LatencyFile } from './latency-file.js'

/** The file with the latencies of a model that is scheduled by them; undefined where the option turns it off. */
export function latencyFile(
  located: LocatedModel,
  config: ModelConfig,
  engine: string,
  options: LoadOptions,
): LatencyFile | undefined {
  const directory = cacheDirectory(options.latencyCache)
  if (directory === undefined) return undefined
  return new LatencyFile(directory, {
    engine,
    engineVersion: engineVersion(engine, options),
    file: fileFacts(located.file ?? located.directory ?? located.name),
    parameters: engineParameters(config),
    instances: config.instance_group.reduce((sum, group) => sum + group.count, 0),
    maxBatchSize: config.max_batch_size,
    devices: [options.executionProviders, config.instance_group.map(({ kind, gpus }) => [kind, gpus])],
  })
}

/** The version of the addon counts too: with it, how the table is read and what is measured may change. */
function engineVersion(engine: string, options: LoadOptions): string {
  const native = addon()
  const libraries = options.engineLibrary ? { [engine]: options.engineLibrary } : undefined
  const found = native.engines(libraries).find(({ name }) => name === engine)
  return `${native.version} ${found?.version ?? ''}`
}

/** The engine's file as it is now: another size or time is another model. */
function fileFacts(path: string): string {
  const status = statSync(path, { throwIfNoEntry: false })
  return `${path} ${status?.size ?? 0} ${status?.mtimeMs ?? 0}`
}

/** Saves what is learned, while the model is open and when it closes. The timer must not hold the model, which may be dropped without close(). */
export function keepLatencies(model: NativeModel, latencies: LatencyFile): void {
  const held = new WeakRef(model)
  latencies.keep(() => held.deref()?.latencyTable())
  model.beforeClose(() => latencies.close(held.deref()?.latencyTable() ?? ''))
}
