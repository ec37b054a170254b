package io.espalier.quant;

import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.Module;
import io.espalier.state.SafeTensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.TreeSet;
import java.util.regex.Pattern;

/** Files that version 1 of the format wrote, when all classes were in one package. */
class SavedModelsTest {
    private static final Pattern TYPE = Pattern.compile("\"type\":\"(\\w+)\"");

    static List<String> names() {
        return List.of(
                "pictures",
                "pictures-half",
                "words",
                "words-dynamic",
                "residual-x86",
                "residual-fbgemm");
    }

    private static Path file(String name) {
        try {
            return Path.of(
                    Objects.requireNonNull(
                                    SavedModelsTest.class.getResource(
                                            "saved/" + name + ".safetensors"))
                            .toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    private static Module load(String name) {
        return switch (name.split("-", -1)[0]) {
            case "pictures" -> Quantization.load(new SavedModels.Pictures(), file(name));
            case "words" -> Quantization.load(new SavedModels.Words(), file(name));
            default -> Quantization.loadGraph(new SavedModels.Residual(), file(name));
        };
    }

    @ParameterizedTest
    @MethodSource("names")
    @DisplayName("A file of before is read, and its model computes what it did")
    void computesTheSame(String name) {
        var expected = SafeTensors.read(file(name + "-expected")).tensors();
        try (var noGrad = new NoGradGuard()) {
            Module model = load(name);
            model.eval();
            Tensor output = model.call(Objects.requireNonNull(expected.get("input")));
            assertClose(Objects.requireNonNull(expected.get("output")), output, 1e-3f);
        }
    }

    @Test
    @DisplayName("They hold a layer of every kind that there was")
    void holdEveryKind() {
        var kinds = new TreeSet<String>();
        for (String name : names()) {
            String layers =
                    SafeTensors.read(file(name)).metadata().getOrDefault("espalier.quantized", "");
            TYPE.matcher(layers).results().forEach(found -> kinds.add(found.group(1)));
        }
        assertEquals(
                "[DeQuantize, DynamicLinear, DynamicRecurrent, FusedChain, FusedReLU,"
                    + " HalfPrecision, Identity, IntegerConvolution, IntegerLinear, QFunctional,"
                    + " Quantize, QuantizedConvolution, QuantizedEmbedding, QuantizedEmbeddingBag,"
                    + " QuantizedLinear, QuantizedOperation, QuantizedRecurrent]",
                kinds.toString());
    }
}
