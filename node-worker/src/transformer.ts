/** The thread that transforms sources. */

import { answer } from './project/transformer.ts'

answer()
