package io.espalier.cli;

import io.espalier.onnx.run.ModelRuntime;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A runtime by its word. */
final class RuntimeWord implements ITypeConverter<ModelRuntime> {
    @Override
    public ModelRuntime convert(String word) {
        for (ModelRuntime runtime : ModelRuntime.values()) {
            if (runtime.toString().equals(word)) {
                return runtime;
            }
        }
        throw new TypeConversionException(
                "a runtime is onnxruntime or libtorch, not " + Printable.line(word));
    }
}
