import type { SdkError } from '../sdk-error.ts';
import type { SdkModel } from './sdk-model.ts';

/** The model after a call, and the reply in the protocol's JSON form or an error. */
export type Answer =
  | { readonly model: SdkModel; readonly reply: object }
  | { readonly model: SdkModel; readonly error: SdkError };
