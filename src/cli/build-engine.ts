import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { buildPlan, type PlanProfile, type PlanRequest } from '../load/build-plan.js'
import { beginVariant } from '../quantize/model-directory.js'
import { type LocatedModel, locate } from '../repository/repository.js'
import { SubtenError } from '../runtime/errors.js'
import { type Built, builtText } from './build-engine-text.js'
import type { Context } from './context.js'
import { wholeNumber } from './option-values.js'
import { toJsonText, UsageError } from './report.js'

interface Flags {
  out?: string
  name?: string
  force?: boolean
  int8?: boolean
  fp16?: boolean
  profile: readonly PlanProfile[]
  target?: readonly string[]
  hardware?: string
  versionCompatible?: boolean
  weightStreaming?: boolean
  refit?: boolean
  tf32: boolean
  timingCache?: string
  workspace?: number
  library?: string
  json?: boolean
}

const PLAN_FILE = 'model.plan'

export function addBuildEngine(program: Command, context: Context): void {
  program
    .command('build-engine')
    .description('build a plan of TensorRT, or of TensorRT for RTX, from an ONNX model')
    .argument('<model>', 'a model directory, beside which a model with the plan is made, or an .onnx file')
    .option('--out <file>', 'write the plan alone (default for an .onnx file: beside it, with .plan)')
    .option('--name <name>', 'name of the model that is made (default: that of the model with _plan)')
    .option('--force', 'replace a model of this name')
    .option('--int8', 'only if the model is quantised (subten quantize --target tensorrt)')
    .option('--fp16', 'only if the model computes in FP16 (subten quantize --precision fp16)')
    .option(
      '--profile <min,opt,max>',
      'batch sizes that the plan is made for; may be given again: a profile each (default: 1,N,N of max_batch_size N)',
      profileOption,
      [],
    )
    .option('--target <list>', 'TensorRT for RTX: compute capabilities, as sm_80,sm_89', listOption)
    .option('--hardware <level>', "TensorRT: ampere+ or same, for other GPUs than this machine's")
    .option('--version-compatible', 'later versions of the same major run it too')
    .option('--weight-streaming', 'weights may stay in the memory of the host (weight_budget_mb)')
    .option('--refit', 'weights can be replaced when it is loaded (refit_from)')
    .option('--no-tf32', 'FP32 products in FP32')
    .option('--timing-cache <file>', 'what was timed once is not timed again')
    .option('--workspace <MiB>', 'memory that layers may use while they run', wholeNumber(1, 1 << 20))
    .option('--library <path>', "TensorRT's library, or its folder")
    .option('--json', 'print JSON')
    .addHelpText('after', '\nPrecision is what the model says; see docs/tensorrt.md.')
    .action(async (path: string, flags: Flags) => {
      if (flags.int8 && flags.fp16) throw new UsageError('--int8 and --fp16 cannot both be what the model must be')
      const source = await locate(path)
      const model = onnxOf(path, source)
      const alone = flags.out ?? (source.directory === undefined ? model.replace(/\.onnx$/i, '.plan') : undefined)
      const made =
        alone === undefined ? await buildModel(source, model, flags) : await buildFile(source, model, alone, flags)
      context.out(flags.json ? toJsonText(made) : builtText(made))
    })
}

function onnxOf(path: string, { engine, file }: LocatedModel): string {
  if (engine.engine === 'onnxruntime' && file !== undefined) return file
  throw new SubtenError('MODEL_INVALID', `${path} is no ONNX model, but one of ${engine.backend || engine.platform}`, {
    remedy: 'Plans are built from ONNX models: name one.',
  })
}

async function buildFile(source: LocatedModel, model: string, plan: string, flags: Flags): Promise<Built> {
  mkdirSync(dirname(plan), { recursive: true })
  return { plan, ...(await buildPlan(requestOf(source, model, flags), plan, flags.library)) }
}

/** A model beside the one that the plan is of, with its configuration, labels and all, and the plan's digest pinned. */
async function buildModel(source: LocatedModel, model: string, flags: Flags): Promise<Built> {
  const request = requestOf(source, model, flags)
  const engine = { engine: 'tensorrt', backend: 'tensorrt', platform: 'tensorrt_plan', filename: PLAN_FILE }
  const variant = await beginVariant({ ...source, engine }, flags.name ?? `${source.name}_plan`, { force: flags.force })
  try {
    const report = await buildPlan(request, variant.file, flags.library)
    const { platform, default_model_filename: filename, max_batch_size: batch = 0 } = source.document.fields
    const most = largestRows(request.profiles)
    await variant.configure(
      { 'subten.plan_sha256': report.sha256 },
      {
        backend: 'tensorrt',
        ...(platform && { platform: null }),
        ...(filename && { default_model_filename: null }),
        ...(batch > most && { max_batch_size: most }),
      },
    )
    await variant.commit()
    const version = dirname(variant.file).split(/[\\/]/).at(-1) as string
    return { plan: join(variant.path, version, PLAN_FILE), model: variant.path, ...report }
  } finally {
    await variant.discard()
  }
}

function requestOf(source: LocatedModel, model: string, flags: Flags): PlanRequest {
  const { max_batch_size: most = 0 } = source.document.fields
  const usual: readonly PlanProfile[] = most > 0 ? [{ rows: [1, most, most] }] : []
  const precision = flags.int8 ? 'INT8' : flags.fp16 ? 'FP16' : undefined
  return {
    model,
    profiles: flags.profile.length > 0 ? flags.profile : usual,
    ...(precision && { precision }),
    ...(flags.target && { targets: flags.target }),
    ...(flags.hardware !== undefined && { hardware: flags.hardware }),
    ...(flags.versionCompatible && { versionCompatible: true }),
    ...(flags.weightStreaming && { weightStreaming: true }),
    ...(flags.refit && { refit: true }),
    ...(flags.tf32 ? {} : { tf32: false }),
    ...(flags.timingCache !== undefined && { timingCache: flags.timingCache }),
    ...(flags.workspace !== undefined && { workspaceMb: flags.workspace }),
  }
}

/** The largest batch of any profile. */
function largestRows(profiles: readonly PlanProfile[] = []): number {
  const rows = profiles.flatMap((profile) => ('rows' in profile ? [profile.rows[2]] : []))
  return rows.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...rows)
}

function profileOption(value: string, before: readonly PlanProfile[]): PlanProfile[] {
  const rows = value.split(',').map(Number)
  const [min = 0, opt = 0, max = 0] = rows
  if (rows.length !== 3 || !rows.every((n) => Number.isInteger(n) && n >= 1) || min > opt || opt > max) {
    throw new InvalidArgumentError('It must be three batch sizes that do not fall, as 1,8,32.')
  }
  return [...before, { rows: [min, opt, max] }]
}

function listOption(value: string): string[] {
  return value.split(',').map((each) => each.trim())
}
