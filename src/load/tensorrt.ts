import { dirname, join } from 'node:path'
import { type ConfigDocument, documentError } from '../repository/config-document.js'
import type { ModelConfig } from '../repository/config-types.js'
import { containedPath } from '../repository/contained-path.js'
import type { LocatedModel } from '../repository/repository.js'
import { subtenSettings } from '../repository/subten-parameters.js'
import { SubtenError } from '../runtime/errors.js'
import { installedGpu } from './gpu-files.js'
import type { DevicePlan } from './provider-options.js'
import type { Setting } from './triton-options.js'

/** The parameter that names an ONNX file whose weights take the place of the plan's. */
const REFIT = 'refit_from'

/**
 * What the configuration says of a plan: `instance_group` with its GPUs and its optimisation profiles, the pinned digest,
 * the weights. A group without `gpus` is on device 0.
 *
 * @param config as it is before the model was opened
 * @throws SubtenError CONFIG_INVALID naming the field, NOT_SUPPORTED for groups of unequal counts
 */
export async function tensorrtPlan(located: LocatedModel, config: ModelConfig): Promise<DevicePlan> {
  const { document } = located
  const { planSha256, countMax = 0 } = subtenSettings(document, config, true)
  const counts = countsOf(document, config)
  const devices = [...counts.keys()]
  const perDevice = counts.get(devices[0] as number) as number
  if ([...counts.values()].some((count) => count !== perDevice)) {
    throw new SubtenError('NOT_SUPPORTED', `model '${config.name}': instance_group: different counts on the GPUs`, {
      remedy: 'Give each GPU the same count, or load the model once for each GPU.',
      details: { field: 'instance_group' },
    })
  }
  const profiles = new Set(config.instance_group.flatMap(({ profile }) => profile.map(Number)))
  const { max_batch_size, input, output } = document.fields
  const weights = await weightsOf(located, config)
  const settings: [string, string | undefined][] = [
    ['devices', devices.join(',')],
    // As many as may ever run: elastic instances come and go.
    ['instances', String(Math.max(perDevice, Math.ceil(countMax / devices.length)))],
    ['profiles', [...profiles].join(',')],
    ['batch_of_plan', max_batch_size === undefined && !input?.length && !output?.length ? '1' : undefined],
    ['plan_sha256', planSha256],
    ['refit_from', weights],
    ['installed_tensorrt', installedGpu('tensorrt')],
    ['installed_rtx', installedGpu('rtx')],
  ]
  return { settings: settings.flatMap(([name, value]): Setting[] => (value ? [[name, value]] : [])) }
}

/** Batches that may run at once, on all GPUs together. */
export function tensorrtInstances(config: ModelConfig): number {
  return config.instance_group.reduce((sum, { count, gpus }) => sum + count * Math.max(1, gpus.length), 0)
}

/** Instances on each GPU. */
function countsOf(document: ConfigDocument, config: ModelConfig): Map<number, number> {
  const counts = new Map<number, number>()
  config.instance_group.forEach(({ kind, gpus, count }, index) => {
    if (kind === 'KIND_CPU' || kind === 'KIND_MODEL') {
      throw documentError(
        document,
        ['instance_group', index, 'kind'],
        `a plan of TensorRT runs on GPUs, not in a group of ${kind}`,
        'Set it to KIND_GPU, or leave it out.',
      )
    }
    for (const gpu of gpus.length === 0 ? [0] : gpus) counts.set(gpu, (counts.get(gpu) ?? 0) + count)
  })
  return counts
}

async function weightsOf({ document, directory, version, file = '' }: LocatedModel, config: ModelConfig) {
  const name = config.parameters[REFIT]?.string_value
  if (name === undefined) return undefined
  const fail = (problem: string): never => {
    throw documentError(document, ['parameters', REFIT, 'string_value'], problem)
  }
  const folder = directory === undefined ? dirname(file) : join(directory, String(version))
  const found = await containedPath(folder, name, () => fail(`"${name}" leads out of the folder of the plan`))
  return found ?? fail(`there is no "${name}" beside the plan`)
}
