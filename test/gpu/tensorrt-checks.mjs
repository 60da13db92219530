// What only TensorRT on a GPU can show: each check in a process of its own, which builds a plan and runs it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { at } from '../../scripts/step.mjs'
import { folderOf } from './models.mjs'

const HELPERS = new URL('./models.mjs', import.meta.url).href

/** Builds a plan of a model, as users do, and gives the report; its folder is removed after `use`. */
function withPlan(name, flags, use) {
  const folder = mkdtempSync(join(tmpdir(), 'subten-gpu-'))
  const plan = join(folder, 'model.plan')
  try {
    const report = JSON.parse(
      run([at('dist', 'cli.js'), 'build-engine', folderOf(name), '--out', plan, '--json', ...flags]),
    )
    return { milliseconds: report.milliseconds, bytes: report.bytes, version: report.version, ...use(plan) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 300_000 })
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr.trim().slice(-800)}`)
  return stdout
}

/** Runs a module that has `load`, `rowsFor`, `relativeError` and prints JSON last. */
function child(code) {
  const prelude = `import { load } from 'subten'; import { rowsFor, relativeError } from ${JSON.stringify(HELPERS)};`
  return JSON.parse(
    run(['--input-type=module', '-e', `${prelude}${code}`])
      .trim()
      .split('\n')
      .at(-1),
  )
}

/** Every number of rows by the plan and by ONNX Runtime on the CPU: the largest relative error. */
const compared = (name, plan, options) =>
  child(`
    const cpu = await load(${JSON.stringify(folderOf(name))})
    const model = await load(${JSON.stringify(plan)}, ${JSON.stringify(options)})
    const [input] = cpu.inputs, [output] = cpu.outputs
    let worst = 0
    for (const rows of [1, 2, 3, 5, 8, 7, 4]) {
      const data = Float32Array.from(rowsFor(cpu, rows, rows).flatMap((row) => [...row[input.name]]))
      const request = { [input.name]: { data, shape: [rows, ...input.shape.slice(1)] } }
      const [wanted, found] = [await cpu.infer(request), await model.infer(request)]
      worst = Math.max(worst, relativeError(found[output.name].data, wanted[output.name].data))
    }
    console.log(JSON.stringify({ worst, graphs: model.metadata['cuda graphs'], device: model.metadata.device }))
    await model.close(); await cpu.close()`)

const PROFILE = ['--profile', '1,4,8']
const FP32 = [...PROFILE, '--no-tf32']

export const tensorrtChecks = [
  {
    name: 'TensorRT: digits answers as on the CPU to 1e-5, by recordings',
    needs: 'tensorrt',
    run: () =>
      withPlan('digits', FP32, (plan) => {
        const found = compared('digits', plan, {})
        assert.ok(found.worst < 1e-5, `relative error ${found.worst}`)
        assert.equal(found.graphs, 'batches of 1, 2, 4, 8; 1 stream')
        return found
      }),
  },
  {
    name: 'TensorRT: without recordings, and by two profiles and three instances, the answers are the same',
    needs: 'tensorrt',
    run: () =>
      withPlan('digits', ['--profile', '1,1,1', '--profile', '2,8,8', '--no-tf32'], (plan) => {
        const launched = compared('digits', plan, { parameters: { graphs: '0' } })
        const three = compared('digits', plan, { instance_group: [{ count: 3 }] })
        assert.ok(launched.worst < 1e-5 && three.worst < 1e-5, `${launched.worst}, ${three.worst}`)
        return { launched, three }
      }),
  },
  {
    name: 'TensorRT: ResNet-50 in FP16 answers as FP32 on the CPU to 1e-2',
    needs: 'tensorrt',
    run: () =>
      withPlan('resnet50_fp16', [...PROFILE, '--fp16'], (plan) => {
        const found = compared('resnet50', plan, { memoryMb: 256 })
        assert.ok(found.worst < 1e-2, `relative error ${found.worst}`)
        return found
      }),
  },
  {
    name: 'TensorRT: a refittable plan takes the weights of its model',
    needs: 'tensorrt',
    run: () =>
      withPlan('digits', [...FP32, '--refit'], (plan) => {
        const code = `
          import { cpSync } from 'node:fs'
          cpSync(${JSON.stringify(join(folderOf('digits'), '1', 'model.onnx'))}, ${JSON.stringify(plan)} + '.onnx')
          const model = await load(${JSON.stringify(plan)}, { parameters: { refit_from: 'model.plan.onnx' } })
          console.log(JSON.stringify({ refittable: model.metadata.refittable }))
          await model.close()`
        return child(code)
      }),
  },
  {
    name: 'TensorRT: loading and closing 20 times does not grow the memory of the device by 64 MiB',
    needs: 'tensorrt',
    run: () =>
      withPlan('digits', PROFILE, (plan) => {
        const found = child(`
          import { execSync } from 'node:child_process'
          const used = () => Number(execSync('nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits').toString().split('\\n')[0])
          const once = async () => { const model = await load(${JSON.stringify(plan)}); await model.close() }
          for (let i = 0; i < 3; i++) await once()
          const before = used()
          for (let i = 0; i < 20; i++) await once()
          console.log(JSON.stringify({ before, after: used() }))`)
        assert.ok(found.after - found.before < 64, JSON.stringify(found))
        return found
      }),
  },
  {
    name: 'TensorRT: a process that exits with runs in flight ends with its own code',
    needs: 'tensorrt',
    run: () =>
      withPlan('digits', PROFILE, (plan) => {
        const code = `import { load } from 'subten'
          const model = await load(${JSON.stringify(plan)})
          await model.infer({ image: new Float32Array(64) })
          for (let i = 0; i < 256; i++) model.infer({ image: new Float32Array(64) }).catch(() => {})
          setTimeout(() => process.exit(7), 2)`
        const codes = Array.from(
          { length: 6 },
          () => spawnSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 60_000 }).status,
        )
        assert.deepEqual(codes, [7, 7, 7, 7, 7, 7])
        return { codes }
      }),
  },
]
