import { describe, expect, it, vi } from 'vitest'
import { devicePlan } from '../../../src/load/execution-providers.js'
import type { ModelConfig } from '../../../src/repository/config-types.js'
import type { LoadOptions } from '../../../src/runtime/types.js'

// Whatever this machine has.
vi.mock('../../../src/load/gpu-files.js', async (original) => ({
  ...(await original<object>()),
  installedCuda: () => undefined,
}))

const config = (...groups: { kind?: string; count?: number; gpus?: number[] }[]): ModelConfig =>
  ({
    name: 'digits',
    instance_group: groups.map(({ kind = 'KIND_AUTO', count = 1, gpus = [] }) => ({ kind, count, gpus })),
  }) as unknown as ModelConfig

const plan = (options: LoadOptions, model = config({})): ReturnType<typeof devicePlan> =>
  devicePlan(options, model, 'onnxruntime')
const settingsOf = (options: LoadOptions, model = config({})): Record<string, string> =>
  Object.fromEntries(plan(options, model)?.settings ?? [])
const refused = (options: object, engine = 'onnxruntime'): { code?: string; message?: string } => {
  try {
    devicePlan(options as LoadOptions, config({}), engine)
  } catch (error) {
    return error as { code: string; message: string }
  }
  return {}
}

describe('executionProviders', () => {
  it('is the CPU where nothing asks for a device', () => {
    expect(plan({})).toBeUndefined()
    expect(plan({ executionProviders: ['cpu'] })).toBeUndefined()
    expect(plan({}, config({ kind: 'KIND_CPU' }))).toBeUndefined()
  })

  it('makes an operator that CUDA lacks an error, unless the CPU is listed too', () => {
    expect(settingsOf({ executionProviders: ['cuda'] }).cuda_only).toBe('1')
    expect(settingsOf({ executionProviders: [{ name: 'cuda' }, 'cpu'] }).cuda_only).toBe('0')
  })

  it('passes the options of the provider by its own names', () => {
    const options: LoadOptions = {
      executionProviders: [
        {
          name: 'cuda',
          deviceId: 2,
          memoryLimitMb: 100,
          convolutionSearch: 'heuristic',
          tf32: false,
          preferNhwc: true,
          pinnedMemory: false,
          libraryPath: ['/a', '/b'],
          providerOptions: { arena_extend_strategy: 'kSameAsRequested' },
        },
      ],
    }
    expect(plan(options)?.cudaDevice).toBe(2)
    expect(settingsOf(options)).toEqual({
      cuda_only: '1',
      cuda_pinned: '0',
      cuda_graph_lanes: '1',
      cuda_library_path: '/a:/b',
      'cuda.gpu_mem_limit': '104857600',
      'cuda.cudnn_conv_algo_search': 'HEURISTIC',
      'cuda.use_tf32': '0',
      'cuda.prefer_nhwc': '1',
      'cuda.arena_extend_strategy': 'kSameAsRequested',
    })
  })

  it('records runs on a stream for each instance, or not at all', () => {
    expect(settingsOf({ executionProviders: ['cuda'] }, config({ count: 2 }, { count: 3 })).cuda_graph_lanes).toBe('5')
    expect(settingsOf({ executionProviders: [{ name: 'cuda', graphs: false }] }).cuda_graph_lanes).toBe('0')
  })

  it('wins over the instance groups of the configuration', () => {
    expect(plan({ executionProviders: ['cpu'] }, config({ kind: 'KIND_GPU' }))).toBeUndefined()
  })

  it.each([
    [{ executionProviders: [] }, /must be a list/],
    [{ executionProviders: 'cuda' }, /must be a list/],
    [{ executionProviders: ['gpu'] }, /must be 'cuda', 'tensorrt', 'openvino' or 'cpu', not "gpu"/],
    [{ executionProviders: [null] }, /must be 'cuda', 'tensorrt', 'openvino' or 'cpu'/],
    [{ executionProviders: ['cuda', 'cuda'] }, /listed twice/],
    [{ executionProviders: ['cpu', 'cuda'] }, /'cuda' must come first/],
    [{ executionProviders: [{ name: 'cuda', device: 0 }] }, /\[0\]\.device: is no option/],
    [{ executionProviders: [{ name: 'cuda', deviceId: -1 }] }, /whole number from 0/],
    [{ executionProviders: [{ name: 'cuda', memoryLimitMb: '1' }] }, /memoryLimitMb/],
    [{ executionProviders: [{ name: 'cuda', convolutionSearch: 'toString' }] }, /convolutionSearch/],
    [{ executionProviders: [{ name: 'cuda', tf32: 1 }] }, /tf32: must be true or false/],
    [{ executionProviders: [{ name: 'cuda', libraryPath: '' }] }, /libraryPath/],
    [{ executionProviders: [{ name: 'cuda', providerOptions: { device_id: 1 } }] }, /set by deviceId/],
  ])('refuses %j', (options, message) => {
    const { code, message: text } = refused(options)
    expect(code).toBe('CONFIG_INVALID')
    expect(text).toMatch(message)
  })

  it('says of a provider that is known but not built that it is not', () => {
    expect(refused({ executionProviders: [{ name: 'nv-tensorrt-rtx' }] } as unknown as LoadOptions)).toMatchObject({
      code: 'NOT_SUPPORTED',
    })
  })

  it('refuses it for the models of other engines', () => {
    expect(refused({ executionProviders: ['cuda'] }, 'triton')).toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe("executionProviders with 'tensorrt'", () => {
  const tensorrt = (provider: object, ...more: (string | object)[]): LoadOptions =>
    ({ executionProviders: [{ name: 'tensorrt', ...provider }, ...more] }) as LoadOptions
  const ours = (settings: Record<string, string>) =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => /^(tensorrt|cuda_only|cuda_graph)/.test(name)))

  it('takes parts that TensorRT lacks to CUDA and to the CPU only where they are listed', () => {
    expect(ours(settingsOf({ executionProviders: ['tensorrt'] }))).toEqual({
      cuda_only: '1',
      cuda_graph_lanes: '0',
      tensorrt_cuda: '0',
    })
    expect(ours(settingsOf(tensorrt({}, 'cuda', 'cpu')))).toMatchObject({ cuda_only: '0', tensorrt_cuda: '1' })
    expect(plan(tensorrt({ deviceId: 2 }, 'cuda'))?.cudaDevice).toBe(2)
  })

  it('passes its options by the names of the provider', () => {
    const given = {
      workspaceMb: 512,
      fp16: true,
      int8: false,
      builderLevel: 4,
      engineCache: '/e',
      timingCache: '/t',
      profile: { min: { a: [1, 3], b: [1] }, opt: { a: [4, 3], b: [4] }, max: { a: [8, 3], b: [8] } },
      libraryPath: ['/l', '/m'],
      pinnedMemory: false,
      providerOptions: { trt_min_subgraph_size: 3 },
    }
    const settings = settingsOf(tensorrt(given, { name: 'cuda', tf32: false }))
    expect(settings).toMatchObject({ cuda_library_path: '/l:/m', cuda_pinned: '0', 'cuda.use_tf32': '0' })
    expect(ours(settings)).toEqual({
      cuda_only: '1',
      cuda_graph_lanes: '0',
      tensorrt_cuda: '1',
      'tensorrt.trt_max_workspace_size': '536870912',
      'tensorrt.trt_fp16_enable': '1',
      'tensorrt.trt_int8_enable': '0',
      'tensorrt.trt_builder_optimization_level': '4',
      'tensorrt.trt_engine_cache_enable': '1',
      'tensorrt.trt_engine_cache_path': '/e',
      'tensorrt.trt_timing_cache_enable': '1',
      'tensorrt.trt_timing_cache_path': '/t',
      'tensorrt.trt_profile_min_shapes': 'a:1x3,b:1',
      'tensorrt.trt_profile_opt_shapes': 'a:4x3,b:4',
      'tensorrt.trt_profile_max_shapes': 'a:8x3,b:8',
      'tensorrt.trt_min_subgraph_size': '3',
    })
  })

  it('makes the profile of the tensors in config.pbtxt', () => {
    const input = [{ name: 'image', dims: [3, 224, 224] }]
    const written = { ...config(), max_batch_size: 16, input } as unknown as ModelConfig
    expect(settingsOf({ executionProviders: ['tensorrt'] }, written)).toMatchObject({
      'tensorrt.trt_profile_min_shapes': 'image:1x3x224x224',
      'tensorrt.trt_profile_opt_shapes': 'image:16x3x224x224',
      'tensorrt.trt_profile_max_shapes': 'image:16x3x224x224',
    })
    const open = { ...written, input: [{ name: 'text', dims: [-1] }] } as unknown as ModelConfig
    expect(settingsOf({ executionProviders: ['tensorrt'] }, open)).not.toHaveProperty([
      'tensorrt.trt_profile_min_shapes',
    ])
  })

  it('is what a gpu_execution_accelerator asks for, as in Triton', () => {
    const parameters = { precision_mode: 'FP16', max_workspace_size_bytes: '1073741824', min_subgraph_size: '2' }
    const gpu = [{ name: 'tensorrt', parameters }]
    const optimization = { execution_accelerators: { gpu_execution_accelerator: gpu } }
    const written = { ...config({ kind: 'KIND_GPU', gpus: [1] }), optimization } as unknown as ModelConfig
    expect(plan({}, written)?.cudaDevice).toBe(1)
    expect(ours(settingsOf({}, written))).toEqual({
      cuda_only: '0',
      cuda_graph_lanes: '0',
      tensorrt_cuda: '1',
      'tensorrt.trt_max_workspace_size': '1073741824',
      'tensorrt.trt_fp16_enable': '1',
      'tensorrt.trt_min_subgraph_size': '2',
    })
  })

  it.each([
    [tensorrt({ device: 0 }), /\[0\]\.device: is no option/],
    [tensorrt({ builderLevel: 6 }), /builderLevel: must be a whole number from 0 to 5/],
    [tensorrt({ workspaceMb: 0.5 }), /workspaceMb/],
    [tensorrt({ fp16: 'yes' }), /fp16: must be true or false/],
    [tensorrt({ engineCache: '' }), /engineCache: must be a folder/],
    [tensorrt({ profile: { min: { a: [1] } } }), /profile\.opt: must be shapes/],
    [tensorrt({ profile: { min: { a: [1] }, opt: { a: [1] }, max: { b: [1] } } }), /the same inputs/],
    [tensorrt({ providerOptions: { trt_fp16_enable: true } }), /set by fp16/],
    [tensorrt({ deviceId: 1 }, { name: 'cuda', deviceId: 2 }), /must be that of 'tensorrt', 1/],
    [{ executionProviders: ['cuda', 'tensorrt'] }, /'tensorrt' must come before 'cuda'/],
    [{ executionProviders: ['tensorrt', 'openvino'] }, /takes 'openvino' or those of NVIDIA/],
  ])('refuses %j', (options, message) => {
    const { code, message: text } = refused(options as LoadOptions)
    expect(code).toBe('CONFIG_INVALID')
    expect(text).toMatch(message)
  })
})

describe("executionProviders with 'openvino'", () => {
  const openvino = (provider: object, ...more: string[]): LoadOptions =>
    ({ executionProviders: [{ name: 'openvino', ...provider }, ...more] }) as LoadOptions

  it('makes an operator that OpenVINO lacks an error, unless the CPU is listed too', () => {
    expect(settingsOf({ executionProviders: ['openvino'] }).openvino_only).toBe('1')
    expect(settingsOf(openvino({}, 'cpu')).openvino_only).toBe('0')
    expect(plan({ executionProviders: ['openvino'] })?.cudaDevice).toBeUndefined()
  })

  it('passes the options of the provider by its own names, a stream for each instance', () => {
    const given = {
      threads: 3,
      precision: 'bf16',
      cacheDirectory: '/c',
      providerOptions: { enable_qdq_optimizer: true },
    }
    const settings = settingsOf(openvino(given), config({ count: 2 }))
    delete settings.openvino_library // where it is installed
    expect(settings).toEqual({
      openvino_only: '1',
      openvino_precision: 'bf16',
      openvino_threads: '3',
      'openvino.device_type': 'CPU',
      'openvino.num_streams': '2',
      'openvino.cache_dir': '/c',
      'openvino.load_config': '{"CPU":{"ENABLE_CPU_PINNING":"NO","INFERENCE_PRECISION_HINT":"bf16"}}',
      'openvino.enable_qdq_optimizer': 'True',
    })
    expect(settingsOf(openvino({ streams: 4 }))['openvino.num_streams']).toBe('4')
    expect(settingsOf(openvino({}))['openvino.precision']).toBe('FP32')
  })

  it.each([
    [openvino({ deviceId: 0 }), /deviceId: is no option; they are name, device/],
    [openvino({ device: 'TPU' }), /must be a device of OpenVINO's/],
    [openvino({ precision: 'int8' }), /must be one of fp32, accuracy, bf16, fp16, not "int8"/],
    [openvino({ precision: 'toString' }), /must be one of/],
    [openvino({ precision: 'bf16', device: 'GPU.1' }), /is for the device 'CPU'/],
    [openvino({ threads: 0 }), /threads: must be a whole number from 1/],
    [openvino({ streams: 1.5 }), /streams: must be a whole number from 1/],
    [openvino({ cacheDirectory: '' }), /cacheDirectory: must be a path/],
    [openvino({ libraryPath: 7 }), /libraryPath: must be a path/],
    [openvino({ providerOptions: { num_streams: 2 } }), /num_streams: is set by streams/],
    [openvino({ providerOptions: { cache: [] } }), /must be a string, a number or a boolean/],
    [
      openvino({ precision: 'bf16', providerOptions: { load_config: '{}' } }),
      /load_config: takes the place of precision/,
    ],
    [{ ...openvino({ libraryPath: '/x' }), engineLibrary: '/y' }, /name the same thing/],
    [{ executionProviders: ['openvino', 'cuda'] }, /takes 'openvino' or those of NVIDIA/],
    [{ executionProviders: ['cpu', 'openvino'] }, /'openvino' must come first/],
  ])('refuses %j', (options, message) => {
    const { code, message: text } = refused(options)
    expect(code).toBe('CONFIG_INVALID')
    expect(text).toMatch(message)
  })

  it('is what a cpu_execution_accelerator of config.pbtxt says, with the CPU for what OpenVINO lacks', () => {
    const accelerated = {
      ...config({ count: 2 }),
      optimization: {
        execution_accelerators: {
          cpu_execution_accelerator: [{ name: 'openvino', parameters: { threads: '2', precision: 'accuracy' } }],
        },
      },
    } as unknown as ModelConfig
    expect(settingsOf({}, accelerated)).toMatchObject({
      openvino_only: '0',
      openvino_threads: '2',
      'openvino.num_streams': '2',
      'openvino.precision': 'ACCURACY',
    })
    expect(plan({ executionProviders: ['cpu'] }, accelerated)).toBeUndefined()
    expect(devicePlan({}, accelerated, 'triton')).toBeUndefined()
  })

  it('says where there is no library at libraryPath', () => {
    expect(refused(openvino({ libraryPath: '/nowhere' }))).toMatchObject({ code: 'ENGINE_NOT_FOUND' })
  })
})

describe('instance_group with KIND_GPU', () => {
  it('is the device that it names, the first where it names none, with the CPU for what CUDA lacks', () => {
    expect(plan({}, config({ kind: 'KIND_GPU', gpus: [3] }))?.cudaDevice).toBe(3)
    expect(plan({}, config({ kind: 'KIND_GPU' }))?.cudaDevice).toBe(0)
    expect(settingsOf({}, config({ kind: 'KIND_GPU', count: 2 }))).toEqual({ cuda_only: '0', cuda_graph_lanes: '2' })
  })

  it('is not built for several devices, nor beside other kinds', () => {
    const refuse = (...groups: { kind: string; gpus?: number[] }[]): unknown => {
      try {
        return plan({}, config(...groups))
      } catch (error) {
        return error
      }
    }
    expect(refuse({ kind: 'KIND_GPU', gpus: [0, 1] })).toMatchObject({ code: 'NOT_SUPPORTED' })
    expect(refuse({ kind: 'KIND_GPU' }, { kind: 'KIND_CPU' })).toMatchObject({ code: 'NOT_SUPPORTED' })
  })

  it('concerns no other engine', () => {
    expect(devicePlan({}, config({ kind: 'KIND_GPU' }), 'triton')).toBeUndefined()
  })
})
