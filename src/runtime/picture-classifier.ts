import { SubtenError } from './errors.js'

/**
 * What classifies pictures, loaded by the first of them: nobody else pays for an image decoder.
 *
 * @throws SubtenError UNSUPPORTED_PLATFORM where the decoder, sharp, does not load
 */
export async function pictureClassifier(): Promise<typeof import('../image/classify.js')> {
  try {
    return await import('../image/classify.js')
  } catch (cause) {
    throw new SubtenError('UNSUPPORTED_PLATFORM', 'the image decoder, sharp, does not load here', {
      remedy: 'Install the build of sharp for this platform: `npm install --include=optional sharp`.',
      cause,
    })
  }
}
