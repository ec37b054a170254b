package io.espalier;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.simpleName;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.simpleNameEndingWith;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.GeneralCodingRules.THROW_GENERIC_EXCEPTIONS;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;

import org.jspecify.annotations.NullMarked;

/** The rooms of the library, and who may know whom. */
@AnalyzeClasses(packages = "io.espalier", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {
    @ArchTest
    static final ArchRule DEPENDENCIES_POINT_ONE_WAY =
            layeredArchitecture()
                    .consideringOnlyDependenciesInLayers()
                    .withOptionalLayers(true)
                    .layer("tensor")
                    .definedBy("io.espalier.tensor..")
                    .layer("state")
                    .definedBy("io.espalier.state..")
                    .layer("nn")
                    .definedBy("io.espalier.nn..")
                    .layer("data")
                    .definedBy("io.espalier.data..")
                    .layer("train")
                    .definedBy("io.espalier.train..")
                    .layer("prune")
                    .definedBy("io.espalier.prune..")
                    .layer("graph")
                    .definedBy("io.espalier.graph..")
                    .layer("quant")
                    .definedBy("io.espalier.quant..")
                    .layer("slim")
                    .definedBy("io.espalier.slim..")
                    .layer("compress")
                    .definedBy("io.espalier.compress..")
                    .layer("demo")
                    .definedBy("io.espalier.demo..")
                    .whereLayer("demo")
                    .mayNotBeAccessedByAnyLayer()
                    .whereLayer("tensor")
                    .mayNotAccessAnyLayer()
                    .whereLayer("state")
                    .mayOnlyAccessLayers("tensor")
                    .whereLayer("nn")
                    .mayOnlyAccessLayers("tensor", "state")
                    .whereLayer("data")
                    .mayOnlyAccessLayers("tensor", "state", "nn")
                    .whereLayer("train")
                    .mayOnlyAccessLayers("tensor", "state", "nn", "data")
                    .whereLayer("prune")
                    .mayOnlyAccessLayers("tensor", "state", "nn", "data", "train")
                    .whereLayer("graph")
                    .mayOnlyAccessLayers("tensor", "nn")
                    .whereLayer("quant")
                    .mayOnlyAccessLayers("tensor", "state", "nn", "data", "train", "graph")
                    .whereLayer("compress")
                    .mayOnlyAccessLayers("tensor", "state", "nn")
                    .whereLayer("slim")
                    .mayOnlyAccessLayers("tensor", "nn", "data", "train", "graph", "prune");

    @ArchTest
    static final ArchRule ROOMS_OF_QUANT_POINT_ONE_WAY =
            layeredArchitecture()
                    .consideringOnlyDependenciesInLayers()
                    .layer("observer")
                    .definedBy("io.espalier.quant.observer")
                    .layer("fusion")
                    .definedBy("io.espalier.quant.fusion")
                    .layer("qat")
                    .definedBy("io.espalier.quant.qat")
                    .layer("layer")
                    .definedBy("io.espalier.quant.layer")
                    .layer("passes")
                    .definedBy("io.espalier.quant.graph")
                    .layer("steps")
                    .definedBy("io.espalier.quant")
                    .layer("accuracy")
                    .definedBy("io.espalier.quant.accuracy")
                    .layer("evaluation")
                    .definedBy("io.espalier.quant.evaluation")
                    .whereLayer("observer")
                    .mayNotAccessAnyLayer()
                    .whereLayer("fusion")
                    .mayNotAccessAnyLayer()
                    .whereLayer("qat")
                    .mayOnlyAccessLayers("observer", "fusion")
                    .whereLayer("layer")
                    .mayOnlyAccessLayers("observer", "fusion", "qat")
                    .whereLayer("passes")
                    .mayOnlyAccessLayers("observer", "fusion", "layer")
                    .whereLayer("steps")
                    .mayOnlyAccessLayers("observer", "fusion", "qat", "layer", "passes")
                    .whereLayer("accuracy")
                    .mayOnlyAccessLayers("observer", "fusion", "layer", "steps")
                    .whereLayer("evaluation")
                    .mayOnlyAccessLayers("fusion", "layer", "steps");

    @ArchTest
    static final ArchRule EVERY_PACKAGE_IS_A_KNOWN_ROOM =
            classes()
                    .should()
                    .resideInAnyPackage(
                            "io.espalier.tensor..",
                            "io.espalier.state..",
                            "io.espalier.nn..",
                            "io.espalier.data..",
                            "io.espalier.train..",
                            "io.espalier.prune..",
                            "io.espalier.quant..",
                            "io.espalier.graph..",
                            "io.espalier.slim..",
                            "io.espalier.compress..",
                            "io.espalier.demo..");

    /** A wrong argument to these ends the process, so one room checks them all. */
    @ArchTest
    static final ArchRule ONLY_TENSOR_CALLS_THE_DISPATCHER =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("io.espalier.tensor..")
                    .should()
                    .dependOnClassesThat(
                            resideInAPackage("org.bytedeco.pytorch..")
                                    .and(
                                            simpleName("Dispatcher")
                                                    .or(simpleName("OperatorHandle"))
                                                    .or(simpleName("FunctionSchema"))
                                                    .or(simpleName("GenericList"))
                                                    .or(simpleName("CompilationUnit"))
                                                    .or(simpleNameEndingWith("TypePtr"))
                                                    .or(simpleName("IValue"))
                                                    .or(simpleName("IValueVector"))));

    @ArchTest
    static final ArchRule ONLY_TENSOR_TOUCHES_RAW_MEMORY =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("io.espalier.tensor..")
                    .should()
                    .callMethodWhere(
                            describe(
                                    "it gives raw memory",
                                    call ->
                                            call.getName().contains("data_ptr")
                                                    || call.getName().equals("reinterpret")));

    @ArchTest
    static final ArchRule A_LIBRARY_PRINTS_NOTHING = noClasses().should(ACCESS_STANDARD_STREAMS);

    @ArchTest
    static final ArchRule ERRORS_HAVE_A_TYPE = noClasses().should(THROW_GENERIC_EXCEPTIONS);

    @ArchTest
    static final ArchRule NOTHING_IS_KEPT_IN_STATICS =
            fields().that().areStatic().should().beFinal();

    @ArchTest
    static final ArchRule NAMES_SAY_WHAT_A_CLASS_IS_FOR =
            noClasses()
                    .should()
                    .haveNameMatching(".*\\.(util|utils|helper|helpers|common|misc)\\..*")
                    .orShould()
                    .haveNameMatching(".*(Util|Utils|Helper|Manager)(\\$.*)?");

    @ArchTest
    static final ArchRule NULL_CROSSES_NO_BORDER = classes().should(resideInANullMarkedPackage());

    private static ArchCondition<JavaClass> resideInANullMarkedPackage() {
        return new ArchCondition<>("reside in a package that is @NullMarked") {
            @Override
            public void check(JavaClass type, ConditionEvents events) {
                events.add(
                        new SimpleConditionEvent(
                                type,
                                type.getPackage().isAnnotatedWith(NullMarked.class),
                                type.getPackageName() + " needs a @NullMarked package-info.java"));
            }
        };
    }
}
