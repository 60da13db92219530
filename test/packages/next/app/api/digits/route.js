import { readFileSync } from 'node:fs'
import { load } from 'subten'

export const dynamic = 'force-dynamic'

let model

export async function GET() {
  model ??= load(process.env.DIGITS)
  const { probabilities } = await (await model).infer({ image: new Float32Array(64).fill(0.5) })
  const binaries = readFileSync('/proc/self/maps', 'utf8').match(/\/\S*(subten\S*\.node|libsubten_\S*)/g)
  return Response.json({ classes: probabilities.data.length, binaries: [...new Set(binaries)] })
}
