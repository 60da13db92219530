import { join } from 'node:path'
import { type LocatedModel, listModels } from '../repository/repository.js'
import type { LoadOptions, Model } from '../runtime/types.js'
import type { ModelSource } from './model-host.js'

/** Loads a model by its path, as `load` of the runtime does; `located`: what was found there. */
export type Load = (path: string, options: LoadOptions, located: LocatedModel) => Promise<Model>

/** Every model of a repository directory, in every version that its version policy serves. */
export async function repositorySources(directory: string, load: Load): Promise<ModelSource[]> {
  const sources: ModelSource[] = []
  for (const { name, model, error } of await listModels(directory)) {
    if (error) {
      sources.push({ name, load: () => Promise.reject(error) })
      continue
    }
    for (const version of model.versions) {
      sources.push({ name, version: String(version), load: () => load(join(directory, name), { version }, model) })
    }
  }
  return sources
}
