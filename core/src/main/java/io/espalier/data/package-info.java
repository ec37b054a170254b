/**
 * What models are trained and measured on: datasets, the loader that makes batches of them, and
 * readers of MNIST, image folders and NumPy files.
 */
@NullMarked
package io.espalier.data;

import org.jspecify.annotations.NullMarked;
