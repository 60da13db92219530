import { expect, it } from 'vitest'
import { mergeMetrics } from '../../../src/server/merge-metrics.js'

const own = `# HELP nv_inference_count rows
# TYPE nv_inference_count gauge
nv_inference_count{model="a",version="1"} 5

# HELP mine of ours
# TYPE mine gauge
mine 1
`
const triton = `# HELP nv_inference_count Number of inferences
# TYPE nv_inference_count counter
nv_inference_count{version="1",model="a"} 9
nv_inference_count{model="inner, \\"b\\"",version="1"} 7
# HELP nv_time Times
# TYPE nv_time summary
nv_time_sum{model="a"} 1
nv_time_count{model="a"} 2
nv_time{model="a",quantile="0.5"} 3
`

it('a family that both have appears once, with our help; a series that both have is ours', () => {
  const lines = mergeMetrics(own, triton).trim().split('\n')
  expect(lines.filter((line) => line.includes('nv_inference_count'))).toEqual([
    '# HELP nv_inference_count rows',
    '# TYPE nv_inference_count gauge',
    'nv_inference_count{model="a",version="1"} 5',
    'nv_inference_count{model="inner, \\"b\\"",version="1"} 7',
  ])
})

it('other families are added with what belongs to them, and nothing of ours is lost', () => {
  const text = mergeMetrics(own, triton)
  expect(text).toContain('mine 1')
  expect(text).toContain(`# TYPE nv_time summary
nv_time_sum{model="a"} 1
nv_time_count{model="a"} 2
nv_time{model="a",quantile="0.5"} 3`)
  expect(text.match(/# TYPE /g)).toHaveLength(3)
  expect(text.endsWith('\n')).toBe(true)
})

it('nothing is changed where there is nothing to add', () => {
  expect(mergeMetrics(own, '')).toBe(own)
  expect(mergeMetrics(own, '\n')).toBe(own)
})
