/* SPDX-License-Identifier: Apache-2.0 */
/* Every exec function that opcodes.def names, once, by the file that defines it. */
