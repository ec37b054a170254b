package io.espalier.onnx.lower;

import io.espalier.graph.GraphModule;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.quant.Quantization;
import io.espalier.quant.graph.GraphFile;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A quantized model on libtorch as one file: the program, its integers and scales, as {@code
 * Quantization.save} writes them, and in notes what the model takes and gives.
 *
 * @param model what computes
 * @param names what it takes and gives
 */
public record LoweredFile(LoweredModel model, ModelInterface names) {
    private static final int LENGTH_BYTES = 8;

    /**
     * What is to be written.
     *
     * @param original the model that it was lowered from, whose names it keeps
     * @param quantized what became of that
     */
    public static LoweredFile of(OnnxModel original, LoweredModel quantized) {
        return new LoweredFile(quantized, ModelInterface.of(original));
    }

    /** Whether a file begins as these do, with the length of a header in JSON. */
    public static boolean looksLikeOne(Path file) {
        if (!Files.isRegularFile(file)) {
            return false; // from a pipe nothing might ever come
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] first = in.readNBytes(LENGTH_BYTES + 1);
            return first.length > LENGTH_BYTES
                    && first[LENGTH_BYTES] == '{'
                    && first[LENGTH_BYTES - 1] == 0;
        } catch (IOException e) {
            return false; // whoever reads it says what is wrong
        }
    }

    /**
     * Writes it; a file that is there is replaced at once.
     *
     * @throws EspalierException if nothing in it is quantized, or the file can't be written
     */
    public void save(Path file) {
        Quantization.save(model.module(), file, names.notes());
    }

    /**
     * Reads what {@link #save} wrote, or any graph that {@code Quantization.save} did: its inputs
     * and outputs are called as in the graph then.
     *
     * @throws EspalierException if the file can't be read, holds no graph, or is damaged
     */
    public static LoweredFile load(Path file) {
        var metadata = SafeTensors.header(file).metadata();
        if (!GraphFile.isGraph(metadata)) {
            throw new EspalierException(
                    file
                            + " holds a model's tensors, not its program; a model is run from an"
                            + " ONNX file or a graph that was saved quantized.");
        }
        GraphModule module = Quantization.loadGraph(file);
        try {
            ModelInterface names = ModelInterface.read(metadata, module);
            return new LoweredFile(
                    new LoweredModel(module, names.inputNames(), names.outputNames()), names);
        } catch (EspalierException e) {
            throw new EspalierException(file + ": " + e.getMessage(), e);
        }
    }
}
