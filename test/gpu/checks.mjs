// What only a GPU can show, a check each: `needs` names what must be there, and a check without it is skipped by name.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { load } from 'subten'
import { at } from '../../scripts/step.mjs'
import { folderOf, relativeError, rowsFor } from './models.mjs'

const CUDA = [{ name: 'cuda' }]
const heldOut = () => JSON.parse(readFileSync(at('test', 'data', 'digits-heldout.json'), 'utf8'))

/** The same rows on the CPU and on the device. */
async function compare(name, { providers = CUDA, rows = 16, ...options } = {}) {
  const onCpu = await load(folderOf(name), { memoryMb: 256 })
  const onGpu = await load(folderOf(name), { memoryMb: 256, executionProviders: providers, ...options })
  try {
    const inputs = rowsFor(onCpu, rows)
    const [output] = onCpu.outputs
    const wanted = await onCpu.inferMany(inputs)
    const found = await onGpu.inferMany(inputs)
    const errors = wanted.map((each, i) => relativeError(found[i][output.name].data, each[output.name].data))
    return { error: Math.max(...errors), rows, device: onGpu.metadata.device, nodes: onGpu.metadata.nodes }
  } finally {
    await onGpu.close()
    await onCpu.close()
  }
}

/** Runs a piece of code in a process of its own; `env` undefined entries are left out. */
function child(code, env = {}) {
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    cwd: at('.'),
    encoding: 'utf8',
    timeout: 60_000,
    env: Object.fromEntries(Object.entries({ ...process.env, ...env }).filter(([, value]) => value !== undefined)),
  })
  return { ...result, text: `${result.stdout}${result.stderr}` }
}

const within = (limit) => (found) => {
  assert.ok(found.error <= limit, `relative error ${found.error} is above ${limit}`)
  return found
}

export const checks = [
  {
    name: 'digits on the GPU answers as on the CPU, every operator on the device',
    run: async () => within(2e-3)(await compare('digits', { rows: 64 })),
  },
  {
    name: 'recorded runs answer every number of rows as unrecorded ones do',
    run: async () => {
      const options = { max_batch_size: 12, instance_group: [{ count: 2 }] }
      const launched = await load(folderOf('digits'), {
        ...options,
        executionProviders: [{ name: 'cuda', graphs: false }],
      })
      const recorded = await load(folderOf('digits'), { ...options, executionProviders: CUDA })
      const pixels = rowsFor(launched, 12).map(({ image }) => image)
      let worst = 0
      for (let round = 0; round < 3; round++) {
        for (let rows = 1; rows <= 12; rows++) {
          const data = Float32Array.from(pixels.slice(0, rows).flatMap((row) => [...row]))
          const image = { data, shape: [rows, ...launched.inputs[0].shape.slice(1)] }
          const [wanted, found] = await Promise.all([launched.infer({ image }), recorded.infer({ image })])
          worst = Math.max(worst, relativeError(found.probabilities.data, wanted.probabilities.data))
        }
      }
      const graphs = recorded.metadata['cuda graphs']
      await recorded.close()
      await launched.close()
      assert.equal(graphs, 'batches of 1, 2, 4, 8, 12; 2 streams')
      assert.ok(worst < 1e-3, `relative error ${worst}`)
      return { worst, graphs }
    },
  },
  {
    name: 'digits on the GPU without TF32 answers as on the CPU to 1e-5',
    run: async () => within(1e-5)(await compare('digits', { providers: [{ name: 'cuda', tf32: false }], rows: 64 })),
  },
  {
    name: 'digits on the GPU reads the held-out digits as well as on the CPU',
    run: async () => {
      const { images, labels } = heldOut()
      const model = await load(folderOf('digits'), { executionProviders: CUDA })
      const answers = await model.inferMany(images.map((image) => ({ image: Float32Array.from(image) })))
      await model.close()
      const right = answers.filter(({ probabilities: { data } }, i) => data.indexOf(Math.max(...data)) === labels[i])
      assert.ok(right.length / images.length > 0.95, `${right.length} of ${images.length} right`)
      return { right: right.length, of: images.length }
    },
  },
  {
    name: 'mlp on the GPU answers as on the CPU',
    run: async () => within(2e-3)(await compare('mlp', { rows: 64 })),
  },
  {
    name: 'digits_int8 runs with its operators where CUDA has them, the others on the CPU by request',
    run: async () => within(5e-2)(await compare('digits_int8', { providers: [{ name: 'cuda' }, 'cpu'], rows: 64 })),
  },
  {
    name: 'ResNet-50 on the GPU answers as on the CPU',
    needs: 'resnet50',
    run: async () => within(5e-3)(await compare('resnet50', { rows: 4 })),
  },
  {
    name: 'ResNet-50 on the GPU without TF32 answers as on the CPU to 1e-5',
    needs: 'resnet50',
    run: async () => within(1e-5)(await compare('resnet50', { providers: [{ name: 'cuda', tf32: false }], rows: 4 })),
  },
  {
    name: 'instance_group with KIND_GPU computes on the device that it names',
    run: async () => {
      const model = await load(folderOf('digits'), { instance_group: [{ kind: 'KIND_GPU', gpus: [0], count: 2 }] })
      await model.infer({ image: new Float32Array(64) })
      const { device, nodes } = model.metadata
      await model.close()
      assert.match(device, /^cuda:0, NVIDIA/)
      assert.match(nodes, /CUDAExecutionProvider \d+/)
      return { device, nodes }
    },
  },
  {
    name: 'a device that is not there is CONFIG_INVALID and says how many there are',
    run: async () => {
      const failure = await load(folderOf('digits'), { executionProviders: [{ name: 'cuda', deviceId: 99 }] }).then(
        () => undefined,
        (error) => error,
      )
      assert.equal(failure?.code, 'CONFIG_INVALID')
      assert.match(failure.message, /no CUDA device 99; the driver shows \d+/)
      return { message: failure.message }
    },
  },
  {
    name: 'without the folders of CUDA libraries the error names what is missing, and nothing falls back',
    run: () => {
      const code = `import { load } from 'subten'
        load(${JSON.stringify(folderOf('digits'))}, { executionProviders: [{ name: 'cuda' }] }).then(
          () => console.log('LOADED'), (error) => console.log(error.code + ': ' + error.message))`
      const { text } = child(code, { SUBTEN_CUDA_LIBRARY_PATH: undefined, LD_LIBRARY_PATH: undefined })
      assert.match(text, /ENGINE_NOT_FOUND: .*lib\w+\.so|LOADED/)
      return { answer: text.trim().slice(0, 400) }
    },
  },
  {
    name: 'hidden by CUDA_VISIBLE_DEVICES the device is NOT_SUPPORTED',
    run: () => {
      const code = `import { load } from 'subten'
        load(${JSON.stringify(folderOf('digits'))}, { executionProviders: [{ name: 'cuda' }] }).then(
          () => console.log('LOADED'), (error) => console.log(error.code + ': ' + error.message))`
      const { text } = child(code, { CUDA_VISIBLE_DEVICES: '' })
      assert.match(text, /NOT_SUPPORTED: /)
      return { answer: text.trim().slice(0, 400) }
    },
  },
  {
    name: 'four instances answer 2000 requests of several rows, each with its own rows',
    run: async () => {
      const onCpu = await load(folderOf('mlp'))
      const model = await load(folderOf('mlp'), {
        executionProviders: CUDA,
        instance_group: [{ count: 4 }],
        dynamic_batching: { max_queue_delay_microseconds: 200 },
        memoryMb: 256,
      })
      const inputs = rowsFor(onCpu, 32)
      const [output] = onCpu.outputs
      const wanted = await onCpu.inferMany(inputs)
      let worst = 0
      await Promise.all(
        Array.from({ length: 2000 }, async (_, i) => {
          const found = await model.infer(inputs[i % 32])
          worst = Math.max(worst, relativeError(found[output.name].data, wanted[i % 32][output.name].data))
        }),
      )
      const { batches } = model.stats()
      await model.close()
      await onCpu.close()
      assert.ok(worst < 2e-3, `relative error ${worst}`)
      return { worst, batches: batches.count, meanRows: batches.meanRows ?? batches.meanSize }
    },
  },
  {
    name: 'a model that is loaded and closed 20 times leaves no memory behind on the device',
    run: async () => {
      const used = () =>
        Number(
          spawnSync('nvidia-smi', ['--query-gpu=memory.used', '--format=csv,noheader,nounits'], { encoding: 'utf8' })
            .stdout,
        )
      const once = async () => {
        const model = await load(folderOf('digits'), { executionProviders: CUDA })
        await model.infer({ image: new Float32Array(64) })
        await model.close()
      }
      for (let i = 0; i < 4; i++) await once()
      const before = used()
      for (let i = 0; i < 20; i++) await once()
      const after = used()
      assert.ok(after - before < 64, `${before} MiB before, ${after} MiB after`)
      return { beforeMiB: before, afterMiB: after }
    },
  },
  {
    name: 'a process that exits with runs on the device in flight ends with its own code',
    run: () => {
      const code = (graphs) => `import { load } from 'subten'
        const executionProviders = [{ name: 'cuda', graphs: ${graphs} }]
        const model = await load(${JSON.stringify(folderOf('digits'))}, { executionProviders })
        await model.infer({ image: new Float32Array(64) })
        for (let i = 0; i < 256; i++) model.infer({ image: new Float32Array(64) }).catch(() => {})
        setTimeout(() => process.exit(7), 2)`
      const codes = [false, true, false, true, false, true].map((graphs) => child(code(graphs)).status)
      assert.deepEqual(codes, [7, 7, 7, 7, 7, 7])
      return { codes }
    },
  },
  {
    name: 'Triton computes digits on the GPU by our backend with KIND_GPU, as on the CPU',
    needs: 'triton',
    run: async () => {
      const onCpu = await load(folderOf('digits'))
      const model = await load(folderOf('digits_triton'), {
        instance_group: [{ kind: 'KIND_GPU', gpus: [0], count: 1 }],
      })
      const inputs = rowsFor(onCpu, 32)
      const [output] = onCpu.outputs
      const wanted = await onCpu.inferMany(inputs)
      const found = await model.inferMany(inputs)
      const error = Math.max(
        ...wanted.map((each, i) => relativeError(found[i][output.name].data, each[output.name].data)),
      )
      const { config } = model
      await model.close()
      await onCpu.close()
      assert.ok(error < 2e-3, `relative error ${error}`)
      return { error, instance_group: config.instance_group }
    },
  },
]
