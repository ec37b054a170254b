package io.espalier.onnx.run;

import ai.onnxruntime.OrtException;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/**
 * How long each operator of a model takes, as ONNX Runtime notes it: the least of several runs, in
 * milliseconds, by the name of the node that the runtime ran, which begins with that of the node it
 * was made of.
 */
public final class OperatorTimes {
    private static final String KERNEL = "_kernel_time";

    private final Map<String, Double> milliseconds = new HashMap<>();
    private final Map<String, String> operators = new HashMap<>();
    private final Map<String, Long> outputBytes = new HashMap<>();

    private OperatorTimes() {}

    /** Measures, after one run that does not count. */
    public static OperatorTimes of(
            OnnxModel model, Map<String, Tensor> inputs, int threads, int runs) {
        Path file = profile(model, inputs, threads, runs);
        try {
            var times = new OperatorTimes();
            times.read(JsonMapper.shared().readTree(file.toFile()));
            return times;
        } catch (JacksonException e) {
            throw new EspalierException("Can't read the times that ONNX Runtime noted.", e);
        } finally {
            delete(file);
        }
    }

    private static Path profile(
            OnnxModel model, Map<String, Tensor> inputs, int threads, int runs) {
        try (var session = OnnxSession.open(model, s -> s.threads(threads).profiled())) {
            for (int run = 0; run <= runs; run++) {
                try (var scope = new PointerScope()) {
                    session.run(inputs);
                }
            }
            return session.endProfiling();
        } catch (OrtException e) {
            throw OnnxSession.refused("ONNX Runtime can't measure the model: ", e);
        }
    }

    private void read(JsonNode events) {
        var seen = new HashMap<String, Integer>();
        for (JsonNode event : events) {
            String name = event.path("name").asString("");
            if (event.path("cat").asString("").equals("Node") && name.endsWith(KERNEL)) {
                String node = name.substring(0, name.length() - KERNEL.length());
                outputBytes.put(node, event.path("args").path("output_size").asLong(0));
                operators.put(node, event.path("args").path("op_name").asString(""));
                if (seen.merge(node, 1, Integer::sum) > 1) {
                    milliseconds.merge(node, event.path("dur").asDouble() / 1000, Math::min);
                }
            }
        }
    }

    /** The bytes of what the runtime made of a node gives; 0 if it ran none. */
    public long outputBytesOf(OnnxNode node) {
        return outputBytes.entrySet().stream()
                .filter(entry -> isFrom(entry.getKey(), node))
                .mapToLong(Map.Entry::getValue)
                .max()
                .orElse(0);
    }

    /** A convolution in blocks of channels is named after the value that it gives. */
    private static boolean isFrom(String name, OnnxNode node) {
        return name.equals(node.name()) || name.equals(node.output() + "_nchwc");
    }

    /** The time of all that the runtime made of a node. */
    public double ofAllFrom(OnnxNode node) {
        double sum = 0;
        for (Map.Entry<String, Double> entry : milliseconds.entrySet()) {
            if (isFrom(entry.getKey(), node)) {
                sum += entry.getValue();
            }
        }
        return sum;
    }

    /** The time of all nodes. */
    public double total() {
        return milliseconds.values().stream().mapToDouble(Double::doubleValue).sum();
    }

    /**
     * How many times faster another model does what it does in another way: all nodes aside that
     * the runtime runs for both, by names and operators.
     */
    public double speedupOfChanges(OperatorTimes other) {
        double changed = other.withoutNodesOf(this);
        return changed == 0 ? 1 : withoutNodesOf(other) / changed;
    }

    private double withoutNodesOf(OperatorTimes other) {
        return milliseconds.entrySet().stream()
                .filter(time ->
                        !Objects.equals(
                                operators.get(time.getKey()), other.operators.get(time.getKey())))
                .mapToDouble(Map.Entry::getValue)
                .sum();
    }

    /** All times by node. */
    public Map<String, Double> all() {
        return Map.copyOf(milliseconds);
    }

    /** Where the runtime may write; it adds the time to the name. */
    static String temporaryFile() {
        try {
            Path file = Files.createTempFile("espalier-times", "");
            Files.delete(file);
            return file.toString();
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't write a temporary file: " + AtomicFile.reason(e) + ".", e);
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            // A temporary file stays behind; the system clears it away.
            return;
        }
    }
}
