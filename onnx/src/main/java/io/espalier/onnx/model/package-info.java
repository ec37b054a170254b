/** ONNX's own graph as the standard has it, from which nothing is lost; its files. */
@NullMarked
package io.espalier.onnx.model;

import org.jspecify.annotations.NullMarked;
