import { SubtenError } from '../runtime/errors.js'

/**
 * Imports what needs sharp, which who sends plain JPEGs only does not have to install.
 *
 * @throws SubtenError UNSUPPORTED_PLATFORM where sharp is not installed or does not load
 */
export async function withSharp<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new SubtenError(
      'UNSUPPORTED_PLATFORM',
      'this picture needs the image decoder sharp, which is not installed or does not load here',
      {
        remedy: 'Install it, with its build for this platform: `npm install --include=optional sharp`.',
        cause,
      },
    )
  }
}

/** One thread a picture: a server's other threads are for other requests, and for the engines. */
export async function oneThreadAPicture(): Promise<void> {
  try {
    const { default: sharp } = await import('sharp')
    sharp.concurrency(1)
  } catch {
    // who sends a picture that needs it reads what is missing
  }
}
