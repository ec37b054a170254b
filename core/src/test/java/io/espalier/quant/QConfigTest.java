package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.tensor.Engine;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

class QConfigTest {
    private static JsonNode pytorchs(String name) throws IOException {
        try (InputStream json =
                Objects.requireNonNull(QConfigTest.class.getResourceAsStream("qconfigs.json"))) {
            return new JsonMapper().readTree(json).get(name);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "x86", "qnnpack", "onednn"})
    @DisplayName("A backend's presets are PyTorch's")
    void presets(String backend) throws IOException {
        QConfig inference = QConfig.forBackend(backend);
        assertSame(pytorchs("default." + backend), inference);
        assertEquals(Engine.of(backend), inference.engine());
        assertSame(pytorchs("qat." + backend), QConfig.qatForBackend(backend));
    }

    @ParameterizedTest
    @ValueSource(strings = {"default_dynamic_qconfig", "per_channel_dynamic_qconfig"})
    @DisplayName("The dynamic presets are PyTorch's")
    void dynamic(String name) throws IOException {
        assertSame(
                pytorchs(name),
                name.startsWith("default") ? QConfig.dynamic() : QConfig.dynamicPerChannel());
    }

    @Test
    @DisplayName("The float16 preset is PyTorch's dynamic one, also by its backend's name")
    void float16() {
        for (QConfig qconfig : new QConfig[] {QConfig.float16(), QConfig.forBackend("float16")}) {
            assertEquals(QuantizedType.FLOAT16, qconfig.weight().make().dtype());
            assertEquals(QuantizedType.FLOAT16, qconfig.activation().make().dtype());
        }
    }

    @Test
    @DisplayName("The presets for tables are PyTorch's: rows with a scale each, all else in float")
    void weightOnly() {
        for (QConfig qconfig : List.of(QConfig.weightOnly(), QConfig.weightOnly4Bit())) {
            Observer rows = qconfig.weight().make();
            assertEquals("PerChannelMinMaxObserver", rows.getClass().getSimpleName());
            assertEquals(Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS, rows.qscheme());
            assertEquals(0, rows.channelAxis());
            assertEquals(
                    "PlaceholderObserver", qconfig.activation().make().getClass().getSimpleName());
        }
        assertEquals(QuantizedType.QUINT8, QConfig.weightOnly().weight().make().dtype());
        assertEquals(QuantizedType.QUINT4X2, QConfig.weightOnly4Bit().weight().make().dtype());
    }

    @Test
    @DisplayName("A configuration prints what it observes with, and all that is not the default")
    void prints() {
        assertEquals(
                "QConfig[activation=HistogramObserver.with().reduceRange(true),"
                        + " weight=PerChannelMinMaxObserver.with().dtype(torch.qint8)"
                        + ".qscheme(torch.per_channel_symmetric), engine=x86]",
                QConfig.forBackend("x86").toString());
        var fourBits =
                MinMaxObserver.with()
                        .dtype(QuantizedType.QINT8)
                        .quantRange(-8, 7)
                        .eps(0.5)
                        .ignoreNonFinite();
        assertEquals(
                "LearnableFakeQuantize.with(MinMaxObserver.with().dtype(torch.qint8)"
                        + ".quantRange(-8, 7).eps(0.5).ignoreNonFinite())",
                LearnableFakeQuantize.with(fourBits).toString());
        assertEquals(
                "FakeQuantize.with(PerChannelMinMaxObserver.with()"
                        + ".qscheme(torch.per_channel_affine).channelAxis(1))",
                FakeQuantize.with(PerChannelMinMaxObserver.with().channelAxis(1)).toString());
    }

    private static void assertSame(JsonNode expected, QConfig qconfig) {
        assertSame(expected.get("activation"), qconfig.activation().make());
        assertSame(expected.get("weight"), qconfig.weight().make());
    }

    private static void assertSame(JsonNode expected, Observer observer) {
        assertEquals(expected.get("cls").asString(), observer.getClass().getSimpleName());
        assertEquals("torch." + expected.get("dtype").asString(), observer.dtype().toString());
        assertEquals(
                expected.get("qscheme").asString().toUpperCase(Locale.ROOT),
                observer.qscheme().name());
        assertEquals(expected.get("quant_min").asInt(), observer.quantMin());
        assertEquals(expected.get("quant_max").asInt(), observer.quantMax());
        if (expected.has("reduce_range")) {
            assertEquals(expected.get("reduce_range").asBoolean(), observer.reduceRange());
        }
        if (expected.has("ch_axis")) {
            assertEquals(expected.get("ch_axis").asInt(), observer.channelAxis());
        }
        if (expected.has("observer")) {
            Observer inner = ((FakeQuantize) observer).observer();
            assertEquals(expected.get("observer").asString(), inner.getClass().getSimpleName());
            double constant =
                    inner instanceof MovingAverageMinMaxObserver average
                            ? average.averagingConstant()
                            : ((MovingAveragePerChannelMinMaxObserver) inner).averagingConstant();
            assertEquals(expected.get("averaging_constant").asDouble(), constant);
        }
    }
}
