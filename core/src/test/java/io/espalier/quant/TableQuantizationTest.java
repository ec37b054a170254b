package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;
import static io.espalier.quant.WordTables.COUNT;
import static io.espalier.quant.WordTables.all;
import static io.espalier.quant.WordTables.classifier;
import static io.espalier.quant.WordTables.longs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Linear;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.PlaceholderObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.nio.file.Path;
import java.util.Set;

@DisplayName("A model with a table of vectors")
class TableQuantizationTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(11);
    }

    @Nested
    @DisplayName("Prepare and convert")
    class Static {
        @Test
        @DisplayName(
                "need no calibration for a weight-only qconfig, which leaves all else in float")
        void weightOnly() {
            Sequential model = classifier();
            model.eval();
            model.qconfig(QConfig.weightOnly());
            Quantization.prepare(model);
            Quantization.convert(model);
            assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
            assertTrue(model.get(1).toString().startsWith("Linear("));
        }

        @Test
        @DisplayName(
                "quantize a table under a preset for a backend too; what follows is calibrated")
        void underBackend() {
            Sequential model = classifier();
            model.eval();
            Tensor x = all().reshape(10, 5);
            Tensor wanted = model.call(x).detach();
            Sequential original = model.copy();
            model.qconfig(QConfig.forBackend("x86"));
            Quantization.prepare(model);
            model.call(x);
            Quantization.convert(model);
            assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
            assertTrue(model.get(1).toString().startsWith("QuantizedLinear("));
            Tensor y = model.call(x);
            float noise = y.sub(wanted).norm().item_float() / wanted.norm().item_float();
            assertTrue(noise > 0 && noise < 0.03, "noise " + noise);
            Path file = directory.resolve("words.safetensors");
            Quantization.save(model, file);
            assertClose(y, Quantization.load(original, file).call(x), 0);
        }

        @Test
        @DisplayName("leave a table in float where qconfig is null")
        void excluded() {
            Sequential model = classifier();
            model.eval();
            model.qconfig(QConfig.forBackend("x86"));
            model.get(0).qconfig(null);
            Quantization.prepare(model);
            model.call(all().reshape(10, 5));
            Quantization.convert(model);
            assertTrue(model.get(0).toString().startsWith("EmbeddingBag("));
        }

        @Test
        @DisplayName("refuse a table configured for rows that no kernel reads")
        void refusesTypes() {
            Sequential model = classifier();
            model.get(0)
                    .qconfig(
                            new QConfig(
                                    PlaceholderObserver.with(),
                                    PerChannelMinMaxObserver.with()
                                            .dtype(QuantizedType.QINT8)
                                            .qscheme(Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS)));
            Quantization.prepare(model);
            assertEquals(
                    "The table '0.weight' is configured as torch.qint8"
                            + " torch.per_channel_affine_float_qparams; tables are torch.quint8 or"
                            + " torch.quint4x2 with a scale for each row.",
                    messageOf(() -> Quantization.convert(model)));
        }
    }

    @Nested
    @DisplayName("Dynamic quantization")
    class Dynamic {
        @Test
        @DisplayName("quantizes tables by default, and leaves them out where only others are named")
        void choosesTables() {
            Sequential model = classifier();
            Sequential linear = model.copy();
            Sequential half = model.copy();
            Quantization.quantizeDynamic(model);
            assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
            assertTrue(model.get(1).toString().startsWith("DynamicQuantizedLinear("));
            Quantization.quantizeDynamic(linear, QConfig.dynamic(), Set.of(Linear.class));
            assertTrue(linear.get(0).toString().startsWith("EmbeddingBag("));
            Quantization.quantizeDynamic(half, QConfig.float16());
            assertEquals(
                    "QuantizedEmbeddingBag(num_embeddings=50, embedding_dim=16,"
                            + " dtype=torch.float16)",
                    half.get(0).toString());
        }

        @ParameterizedTest
        @EnumSource
        @DisplayName("keeps tables in 16 bits by the float16 preset, bags and all")
        void halvesTables(Mode mode) {
            Sequential original =
                    new Sequential(new EmbeddingBag(COUNT, 6, o -> o.mode(mode).paddingIndex(4)));
            Tensor indices = longs(4, 9, 4, 30, 2, 49, 0);
            Tensor offsets = longs(0, 3, 3, 5);
            for (boolean dynamic : new boolean[] {true, false}) {
                Sequential model = original.copy();
                if (dynamic) {
                    Quantization.quantizeDynamic(model, QConfig.float16());
                } else {
                    model.qconfig(QConfig.forBackend("float16"));
                    Quantization.prepare(model);
                    Quantization.convert(model);
                }
                assertEquals(ScalarType.Half, Tensors.type(model.get(0).buffer("weight")));
                Tensor y = model.call(indices, offsets);
                assertClose(original.call(indices, offsets), y, 4e-3f);
                if (mode == Mode.SUM) {
                    Tensor weights = Tensors.randn(7);
                    assertClose(
                            original.call(indices, offsets, weights),
                            model.call(indices, offsets, weights),
                            8e-3f);
                }
                Path file = directory.resolve("half.safetensors");
                Quantization.save(model, file);
                assertClose(y, Quantization.load(original, file).call(indices, offsets), 0);
                assertEquals(
                        "An index of a table of 50 vectors must be in 0…49; got 50…50.",
                        messageOf(() -> model.call(longs(50), longs(0))));
            }
        }

        @Test
        @DisplayName("refuses a weight-only qconfig for layers that are no tables")
        void refusesLinear() {
            Sequential model = classifier();
            assertEquals(
                    "A weight-only qconfig is for Embedding and EmbeddingBag; asked for Linear. Use"
                            + " QConfig.dynamic() for it.",
                    messageOf(() ->
                            Quantization.quantizeDynamic(
                                    model, QConfig.weightOnly(), Set.of(Linear.class))));
        }
    }
}
