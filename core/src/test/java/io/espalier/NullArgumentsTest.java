package io.espalier;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;

import io.espalier.graph.FreeDimensions;
import io.espalier.graph.GraphBuilder;
import io.espalier.graph.GraphCost;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphTypes;
import io.espalier.nn.Functional;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.prune.DynamicPruning;
import io.espalier.prune.Importance;
import io.espalier.prune.IterativePruner;
import io.espalier.prune.Prune;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.prune.WinningTicket;
import io.espalier.quant.Calibration;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.QConfigMapping;
import io.espalier.quant.Quantization;
import io.espalier.quant.accuracy.AdaRound;
import io.espalier.quant.accuracy.BiasCorrection;
import io.espalier.quant.accuracy.Equalization;
import io.espalier.quant.accuracy.SmoothQuant;
import io.espalier.quant.evaluation.Evaluation;
import io.espalier.quant.evaluation.MixedPrecision;
import io.espalier.quant.evaluation.OutputComparison;
import io.espalier.quant.evaluation.Sensitivity;
import io.espalier.quant.observer.FixedQParamsObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.quant.qat.QatPhases;
import io.espalier.state.SafeTensors;
import io.espalier.state.SavedModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

@DisplayName("Null where something is needed")
class NullArgumentsTest {
    /** What programs begin with: all their static methods are called. */
    private static final List<Class<?>> ENTRIES =
            List.of(
                    Tensors.class,
                    Functional.class,
                    Prune.class,
                    Target.class,
                    Importance.class,
                    DynamicPruning.class,
                    IterativePruner.class,
                    Sparsity.class,
                    WinningTicket.class,
                    GraphModule.class,
                    GraphCost.class,
                    GraphTypes.class,
                    FreeDimensions.class,
                    Quantization.class,
                    GraphQuantization.class,
                    Calibration.class,
                    QConfig.class,
                    Equalization.class,
                    AdaRound.class,
                    BiasCorrection.class,
                    SmoothQuant.class,
                    SmoothQuant.Group.class,
                    Evaluation.class,
                    Sensitivity.class,
                    MixedPrecision.class,
                    OutputComparison.class,
                    ObserverSettings.class,
                    FixedQParamsObserver.class,
                    QuantizationParameters.class,
                    FakeQuantize.class,
                    LearnableFakeQuantize.class,
                    QatPhases.class,
                    SafeTensors.class,
                    SavedModel.class);

    /** What programs make and then call: their own methods are called too. */
    private static final List<Object> OBJECTS =
            List.of(
                    ArgumentSamples.model(),
                    new GraphBuilder(),
                    IterativePruner.of(ArgumentSamples.model()),
                    MinMaxObserver.with(),
                    QConfigMapping.of(null),
                    QuantizationParameters.perTensor(1, 0, QuantizedType.QUINT8, 0, 255));

    /** Layers of several tensors that must fit each other. */
    private static final Set<Class<?>> BY_HAND = Set.of(GroupNorm.class, MultiheadAttention.class);

    /** Of a module, what programs call. */
    private static final Set<String> OF_MODULES =
            Set.of(
                    "add",
                    "addBuffer",
                    "addParameter",
                    "append",
                    "call",
                    "callAll",
                    "load",
                    "loadStateDict",
                    "module",
                    "onInput",
                    "onOutput",
                    "onOutputFirst",
                    "replace",
                    "save",
                    "withTensors");

    /** One parameter of one method or constructor, and on which object. */
    record Place(Executable called, @Nullable Object on, int index) {
        @Override
        public String toString() {
            Parameter parameter = called.getParameters()[index];
            return called.getDeclaringClass().getSimpleName()
                    + "."
                    + called.getName()
                    + Arrays.stream(called.getParameterTypes()).map(Class::getSimpleName).toList()
                    + " "
                    + parameter.getName();
        }
    }

    static Stream<Place> places() {
        List<Place> places = new ArrayList<>();
        for (Class<?> entry : ENTRIES) {
            for (Method method : entry.getMethods()) {
                if (Modifier.isStatic(method.getModifiers())) {
                    add(places, method, null);
                }
            }
        }
        for (Object object : OBJECTS) {
            for (Method method : object.getClass().getMethods()) {
                if (!Modifier.isStatic(method.getModifiers())
                        && method.getDeclaringClass().getName().startsWith("io.espalier")) {
                    add(places, method, object);
                }
            }
        }
        for (Class<?> layer : layers()) {
            Arrays.stream(layer.getConstructors()).forEach(made -> add(places, made, null));
            for (Method method : layer.getMethods()) {
                if (Modifier.isStatic(method.getModifiers())) {
                    add(places, method, null);
                }
            }
        }
        return places.stream();
    }

    /** The public layers that can be made. */
    private static List<Class<?>> layers() {
        List<Class<?>> layers = new ArrayList<>();
        for (JavaClass type :
                new ClassFileImporter()
                        .withImportOption(new DoNotIncludeTests())
                        .importPackages("io.espalier.nn")) {
            if (type.isAssignableTo(Module.class)
                    && type.getModifiers().contains(JavaModifier.PUBLIC)
                    && !type.getModifiers().contains(JavaModifier.ABSTRACT)) {
                layers.add(type.reflect());
            }
        }
        return layers;
    }

    private static void add(List<Place> places, Executable called, @Nullable Object on) {
        if (called.isSynthetic()
                || BY_HAND.contains(called.getDeclaringClass())
                || called.getName().equals("equals")
                || (on instanceof Module && !OF_MODULES.contains(called.getName()))) {
            return;
        }
        for (int i = 0; i < called.getParameterCount(); i++) {
            Parameter parameter = called.getParameters()[i];
            if (!parameter.getType().isPrimitive()
                    && !parameter.getAnnotatedType().isAnnotationPresent(Nullable.class)) {
                places.add(new Place(called, on, i));
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("places")
    @DisplayName("is refused in a sentence that says so")
    void refused(Place place) throws ReflectiveOperationException {
        Executable called = place.called();
        @Nullable Object[] arguments = new Object[called.getParameterCount()];
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] =
                    i == place.index()
                            ? null
                            : ArgumentSamples.of(
                                    called.getParameterTypes()[i],
                                    called.getGenericParameterTypes()[i]);
        }
        called.setAccessible(true);

        EspalierException refusal =
                assertThrows(
                        EspalierException.class,
                        () -> call(called, place.on(), arguments),
                        place::toString);

        String message = String.valueOf(refusal.getMessage());
        assertTrue(message.matches(".*\\b[Nn]ull\\b.*\\."), () -> place + ": " + message);
    }

    private static void call(Executable called, @Nullable Object on, @Nullable Object[] arguments)
            throws Throwable {
        try {
            if (called instanceof Constructor<?> constructor) {
                constructor.newInstance(arguments);
            } else {
                ((Method) called).invoke(on, arguments);
            }
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }
}
