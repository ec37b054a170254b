/**
 * ONNX models made of models written in Java: {@link io.espalier.onnx.export.OnnxExport} is the
 * entry.
 *
 * <p>A model is traced to a graph; {@code GraphWriter} walks it and writes each step into a {@code
 * Draft}. Operators have a row each in {@code OperatorTable}, layers in {@code LayerTable}. What is
 * quantized is written as floats between QuantizeLinear and DequantizeLinear, with weights stored
 * as integers, which runtimes fuse into their integer kernels.
 */
@NullMarked
package io.espalier.onnx.export;

import org.jspecify.annotations.NullMarked;
