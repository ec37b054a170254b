package io.espalier.quant.layer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Constant;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.GELU;
import io.espalier.nn.Linear;
import io.espalier.nn.LogSoftmax;
import io.espalier.nn.Module;
import io.espalier.nn.ModuleList;
import io.espalier.nn.Sequential;
import io.espalier.nn.SiLU;
import io.espalier.nn.Upsample;
import io.espalier.quant.QuantStub;
import io.espalier.quant.observer.MinMaxObserver;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.HashSet;
import java.util.Set;
import java.util.stream.Collectors;

@DisplayName("The catalogue of kinds")
class LayerKindsTest {
    /** The layers that have no int8 kernel, and the containers. */
    private static final Set<Class<?>> IN_FLOAT =
            Set.of(
                    BatchNorm1d.class,
                    Constant.class,
                    GELU.class,
                    SiLU.class,
                    LogSoftmax.class,
                    Sequential.class,
                    ModuleList.class);

    @Test
    @DisplayName("has every layer of the library, or it is known to stay in float")
    void complete() {
        Set<Class<?>> layers =
                new ClassFileImporter()
                                .withImportOption(new DoNotIncludeTests())
                                .importPackages("io.espalier.nn")
                                .stream()
                                .filter(type -> type.isAssignableTo(Module.class))
                                .filter(type ->
                                        !type.getModifiers().contains(JavaModifier.ABSTRACT))
                                .map(type -> type.reflect())
                                .collect(Collectors.toSet());
        Set<Class<?>> known =
                LayerKinds.all().stream().map(LayerKind::type).collect(Collectors.toSet());
        Set<Class<?>> undecided = new HashSet<>(layers);
        undecided.removeAll(known);

        assertTrue(layers.contains(Linear.class), "the layers were found");
        assertEquals(IN_FLOAT, undecided);
    }

    @Test
    @DisplayName("has each class once, and reads each saved form in one way")
    void unambiguous() {
        var types =
                LayerKinds.all().stream()
                        .map(LayerKind::type)
                        .filter(type -> type != Stub.class)
                        .toList();
        assertEquals(types.size(), Set.copyOf(types).size());
        assertTrue(
                LayerKinds.forms()
                        .keySet()
                        .containsAll(
                                Set.of(
                                        "Quantize",
                                        "DeQuantize",
                                        "QFunctional",
                                        "QuantizedLinear",
                                        "QuantizedConvolution",
                                        "QuantizedOperation",
                                        "QuantizedEmbedding",
                                        "QuantizedEmbeddingBag",
                                        "QuantizedRecurrent",
                                        "DynamicLinear",
                                        "DynamicRecurrent",
                                        "IntegerLinear",
                                        "IntegerConvolution",
                                        "QuantizedReLU6",
                                        "QuantizedDropout")));
    }

    @Test
    @DisplayName("knows nothing of a subclass, and of a mode that has no kernel")
    void exact() {
        var subclass = new Linear(2, 2) {};
        assertFalse(LayerKinds.of(subclass).isQuantized());
        assertEquals(Linear.class, LayerKinds.extended(subclass).orElseThrow());
        assertTrue(LayerKinds.extended(new Sequential()).isEmpty());
        var cubic = Upsample.byFactor(new double[] {2, 2}, o -> o.mode(Upsample.Mode.BICUBIC));
        assertFalse(LayerKinds.of(cubic).passesIntegers(cubic));
        assertTrue(LayerKinds.of(new QuantStub()).isQuantized());
    }

    @Test
    @DisplayName("answers for what it does not know as for a layer that stays in float")
    void unknown() {
        var other = new GELU();
        var place =
                new PlacedLayer(
                        "here",
                        other,
                        MinMaxObserver.with(),
                        new Packing(MinMaxObserver.with(), io.espalier.tensor.Engine.FBGEMM),
                        MinMaxObserver.with());
        LayerKind kind = LayerKinds.of(other);
        assertSame(other, kind.converted(place));
        assertSame(other, kind.observed(place));
        assertTrue(kind.observer(MinMaxObserver.with(), false).isEmpty());
        assertTrue(kind.channels(other).isEmpty());
        assertTrue(LayerKinds.of(ConvTranspose2d.class).isLinearMap());
        assertFalse(LayerKinds.of(ConvTranspose2d.class).isTrained());
    }
}
